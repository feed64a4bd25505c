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
    let key = "eos_token_id"
    var ends: [Int] = []
    for key in [key, "text_config." + key] where file.metadata.contains(key) {
      if file.metadata.count(ofArray: key) != nil {
        ends += try file.metadata.integers(key)
      } else {
        ends.append(try file.metadata.integer(key))
      }
    }
    guard let path = file.companion("generation_config.json") else { return ends }
    let text = try MappedFile.contents(of: path)
    let value: JSONValue
    do {
      value = try JSONValue(parsing: text)
    } catch {
      throw LanguageModelError.malformed(path, error.description)
    }
    switch value[key] {
    case .array(let list)?: ends += list.compactMap(\.integer)
    case let single?: ends += single.integer.map { [$0] } ?? []
    case nil: break
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
    beginOfSequence = try metadata.integer(ifPresent: prefix + "bos_token_id")
    endOfSequence = try metadata.integer(ifPresent: prefix + "eos_token_id")
    endOfTurn = try metadata.integer(ifPresent: prefix + "eot_token_id")
    endOfMessage = try metadata.integer(ifPresent: prefix + "eom_token_id")
    unknown = try metadata.integer(ifPresent: prefix + "unknown_token_id")
    addsBeginOfSequence = try metadata.bool(ifPresent: prefix + "add_bos_token")
    addsSpacePrefix = try metadata.bool(ifPresent: prefix + "add_space_prefix")
    joinsSpaces = try metadata.bool(ifPresent: prefix + "remove_extra_whitespaces") ?? false
    let map = try metadata.integers(ifPresent: prefix + "precompiled_charsmap") ?? []
    characterMap = map.map { UInt8(truncatingIfNeeded: $0) }
  }
}
