import Models
package import Tokenizers
package import Weights

extension LanguageModel {
  /// Something about a model's files that is worth a line when they are loaded.
  public struct Notice: Sendable, Hashable, CustomStringConvertible {
    public enum Kind: String, Sendable {
      /// Something is wrong in the files and was left out.
      case warning
      /// The files have another form than usual and were read all the same.
      case note
    }

    public let kind: Kind
    /// One line without the kind.
    public let text: String

    /// "note: text part of a multimodal file; ..."
    public var description: String { "\(kind.rawValue): \(text)" }
  }

  /// The notices of a file and of its tokenizer, warnings first.
  ///
  /// - Throws: as `ModelRegistry.notices(of:)` does.
  package static func notices(of file: WeightFile, _ tokenizer: Tokenizer?) throws -> [Notice] {
    let warnings = (tokenizer?.warnings ?? []).map { Notice(kind: .warning, text: $0) }
    var notes = try ModelRegistry.notices(of: file)
    if isBlob(file.path) { notes.append("a blob as Ollama stores it, known by its contents") }
    return warnings + notes.map { Notice(kind: .note, text: $0) }
  }

  /// Whether a path ends in the name that Ollama gives its blobs: `sha256-` and 64 hexadecimal digits.
  private static func isBlob(_ path: String) -> Bool {
    let name = path.split(separator: "/").last ?? ""
    return name.hasPrefix("sha256-") && name.utf8.count == 71 && name.dropFirst(7).allSatisfy(\.isHexDigit)
  }
}
