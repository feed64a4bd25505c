import Weights

@testable import Tokenizers

extension TokenizerDescription {
  /// The tokenizer that the key-values of a GGUF file describe.
  init(metadata: Metadata) throws(WeightsError) {
    let prefix = "tokenizer.ggml."
    self.init(
      model: try metadata.string(prefix + "model"), preTokenizer: try metadata.string(ifPresent: prefix + "pre"),
      tokens: try metadata.strings(prefix + "tokens"))
    scores = try metadata.floats(ifPresent: prefix + "scores") ?? []
    kinds = (try metadata.integers(ifPresent: prefix + "token_type") ?? []).map { Int32(truncatingIfNeeded: $0) }
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
