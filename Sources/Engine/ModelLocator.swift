import Foundation
package import ModelHub

/// Finds model files by path or by name.
package enum ModelLocator {
  /// The file name of the model that serves when none is named.
  package static let defaultModel = "SmolLM2-135M-Instruct.Q4_1.gguf"

  /// Where models are kept: `SLUICE_MODELS`, or `models` in `SLUICE_CACHE` or in the user's cache directory.
  package static func directory(environment: [String: String] = ProcessInfo.processInfo.environment) -> String {
    func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
    if let models = value("SLUICE_MODELS") { return models }
    if let cache = value("SLUICE_CACHE") { return cache + "/models" }
    return (value("XDG_CACHE_HOME") ?? (environment["HOME"] ?? "") + "/.cache") + "/sluice/models"
  }

  /// Where a build leaves the model that ships with it (target `InfiniSmall`): beside the program.
  package static var shipped: String {
    #if canImport(Darwin)
      Bundle.main.bundlePath + "/sluice_InfiniSmall.bundle"
    #else
      Bundle.main.bundlePath + "/sluice_InfiniSmall.resources"
    #endif
  }

  /// The folder of pulled models.
  package static func store(environment: [String: String] = ProcessInfo.processInfo.environment) -> ModelStore {
    ModelStore(directory: directory(environment: environment))
  }

  /// The path of a model: a file or directory, the name of a file in the models' folder or of one that ships, `.gguf` or not,
  /// or that of a pulled model, `OWNER/REPO[:QUANT]`; nil is the default.
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
    if let pulled = ModelName(name), !name.hasSuffix(".gguf") || pulled.quantization != nil {
      do throws(HubError) {
        return try store(environment: environment).model(pulled, cache: HuggingFaceCache(environment: environment)).path
      } catch {
        throw .notPulled(error)
      }
    }
    guard !name.isEmpty, !name.contains("/") else { throw .notFound(model: name) }
    for folder in [directory, shipped] {
      for candidate in [name, name + ".gguf"] where exists(folder + "/" + candidate) {
        return folder + "/" + candidate
      }
    }
    throw .notFound(model: name)
  }
}
