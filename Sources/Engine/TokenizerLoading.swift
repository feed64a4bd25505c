import ModelJSON
package import Tokenizers
package import Weights

extension Tokenizer {
  /// The tokenizer of a model file: the GGUF's own, or the `tokenizer.json` beside the weights.
  ///
  /// - Parameter limit: the most tokens that the model has rows for
  /// - Throws: `WeightsError` for missing or mistyped metadata, `TokenizerError` for a vocabulary that makes no sense.
  package static func load(from file: WeightFile, limit: Int? = nil) throws -> Tokenizer {
    switch file.format {
    case .gguf: return try Tokenizer(TokenizerDescription(file.metadata), limit: limit)
    case .huggingFace, .safetensors:
      guard let path = file.tokenizerJSONPath else {
        throw LanguageModelError.noTokenizer(directory: file.path)
      }
      let config = try file.tokenizerConfigJSONPath.map { try MappedFile.contents(of: $0) }
      return try Tokenizer(
        json: MappedFile.contents(of: path), configuration: config, ends: endsOfSequence(file), limit: limit)
    }
  }

  /// The tokens that end an answer by `config.json` and `generation_config.json`, of which one may know more than the other.
  private static func endsOfSequence(_ file: WeightFile) throws -> [Int] {
    var ends: [Int] = []
    for name in ["config.json", "generation_config.json"] {
      guard let path = file.companion(name) else { continue }
      let text = try MappedFile.contents(of: path)
      let value: JSONValue
      do {
        value = try JSONValue(parsing: text)
      } catch {
        throw LanguageModelError.malformed(path, error.description)
      }
      for place in [value, value["text_config"]] {
        guard let found = place?["eos_token_id"] else { continue }
        // What is a number and no id of any vocabulary lies outside of this one too; what is none names no token.
        ends += (found.array ?? [found]).compactMap(\.double).map { Int(exactly: $0) ?? ($0 > 0 ? .max : .min) }
      }
    }
    return ends
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
    if model == "gpt2", !metadata.contains(prefix + "merges") { throw TokenizerError.missingMerges }
    beginOfSequence = try metadata.tokenID(prefix + "bos_token_id")
    endOfSequence = try metadata.tokenID(prefix + "eos_token_id")
    endOfTurn = try metadata.tokenID(prefix + "eot_token_id")
    endOfMessage = try metadata.tokenID(prefix + "eom_token_id")
    unknown = try metadata.tokenID(prefix + "unknown_token_id")
    addsBeginOfSequence = try metadata.bool(ifPresent: prefix + "add_bos_token")
    addsSpacePrefix = try metadata.bool(ifPresent: prefix + "add_space_prefix")
    joinsSpaces = try metadata.bool(ifPresent: prefix + "remove_extra_whitespaces") ?? false
    let map = try metadata.integers(ifPresent: prefix + "precompiled_charsmap") ?? []
    characterMap = map.map { UInt8(truncatingIfNeeded: $0) }
  }
}

extension Metadata {
  /// The id of a special token; what is a number and no id of any vocabulary lies outside of this one too.
  fileprivate func tokenID(_ key: String) throws -> Int? {
    guard let number = try double(ifPresent: key) else { return nil }
    return Int(exactly: number) ?? (number > 0 ? .max : .min)
  }
}
