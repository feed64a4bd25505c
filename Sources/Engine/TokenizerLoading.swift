import Foundation
package import Tokenizers
package import Weights

extension Tokenizer {
  /// The tokenizer of a model file: the GGUF's own, or the `tokenizer.json` beside the weights.
  ///
  /// - Throws: `WeightsError` for missing or mistyped metadata, `TokenizerError` for a vocabulary that makes no sense.
  package static func load(from file: WeightFile) throws -> Tokenizer {
    switch file.format {
    case .gguf: return try Tokenizer(TokenizerDescription(file.metadata))
    case .huggingFace, .safetensors:
      guard let path = file.tokenizerJSONPath else {
        throw LanguageModelError.noTokenizer(directory: file.path)
      }
      let config = try file.tokenizerConfigJSONPath.map { try bytes(of: $0) }
      return try Tokenizer(json: bytes(of: path), configuration: config)
    }
  }

  private static func bytes(of path: String) throws -> [UInt8] {
    guard let data = FileManager.default.contents(atPath: path) else { throw LanguageModelError.unreadable(path) }
    return Array(data)
  }
}

extension TokenizerDescription {
  /// The vocabulary in a GGUF file's metadata.
  package init(_ metadata: Metadata) throws {
    let prefix = "tokenizer.ggml."
    self.init(
      model: try metadata.string(prefix + "model"), preTokenizer: try metadata.string(ifPresent: prefix + "pre"),
      tokens: try metadata.strings(prefix + "tokens"))
    scores = try metadata.floats(ifPresent: prefix + "scores") ?? []
    kinds = (try metadata.integers(ifPresent: prefix + "token_type") ?? []).map { Int32(clamping: $0) }
    merges = try metadata.strings(ifPresent: prefix + "merges") ?? []
    beginOfSequence = try metadata.integer(ifPresent: prefix + "bos_token_id")
    endOfSequence = try metadata.integer(ifPresent: prefix + "eos_token_id")
    endOfTurn = try metadata.integer(ifPresent: prefix + "eot_token_id")
    endOfMessage = try metadata.integer(ifPresent: prefix + "eom_token_id")
    unknown = try metadata.integer(ifPresent: prefix + "unknown_token_id")
    addsBeginOfSequence = try metadata.bool(ifPresent: prefix + "add_bos_token")
    addsSpacePrefix = try metadata.bool(ifPresent: prefix + "add_space_prefix")
  }
}
