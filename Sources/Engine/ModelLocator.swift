import Foundation

/// Finds model files by path or by name.
package enum ModelLocator {
  /// The file name of the model that serves when none is named.
  package static let defaultModel = "SmolLM2-135M-Instruct.Q4_1.gguf"

  /// Where fetched models are kept: `SLUICE_MODELS`, or the user's cache directory.
  package static func directory(environment: [String: String] = ProcessInfo.processInfo.environment) -> String {
    if let models = environment["SLUICE_MODELS"], !models.isEmpty { return models }
    let cache =
      environment["XDG_CACHE_HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? (environment["HOME"] ?? "") + "/.cache"
    return cache + "/sluice/models"
  }

  /// The path of a model: a file or directory, or the name of a fetched one, `.gguf` or not; nil is the default.
  ///
  /// - Throws: `LanguageModelError` where there is none.
  package static func path(
    of name: String?, environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws(LanguageModelError) -> String {
    let directory = directory(environment: environment)
    let exists = { (path: String) in FileManager.default.fileExists(atPath: path) }
    guard let name else {
      let path = directory + "/" + defaultModel
      guard exists(path) else { throw .noDefaultModel(directory: directory) }
      return path
    }
    if exists(name) { return name }
    guard !name.isEmpty, !name.contains("/") else { throw .notFound(model: name) }
    for candidate in [name, name + ".gguf"] where exists(directory + "/" + candidate) {
      return directory + "/" + candidate
    }
    throw .notFound(model: name)
  }
}
