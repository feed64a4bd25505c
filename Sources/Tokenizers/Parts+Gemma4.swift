extension TokenizerDescription {
  /// The algorithm that the keys mean together: `gpt2`, `llama` or `gemma4`, else the name as it is.
  ///
  /// Some files with the tokenizer of Gemma 4 name another model, but have its merges and its `pre`.
  var algorithm: String {
    guard !merges.isEmpty, model == "llama" || model == "gpt2" else { return model }
    switch preTokenizer {
    case "gemma4", "granite-embed-multi-311m", "sarvam-moe": return "gemma4"
    default: return model
    }
  }
}

extension Tokenizer.Parts {
  /// BPE over raw UTF-8 from the key-values of a GGUF file: model `gemma4`, and what shares its algorithm.
  ///
  /// Tokens are spelled as SentencePiece spells them, U+2581 for a space and `<0x0A>` for a byte, but they merge by a
  /// list. Text is cut only between runs of line breaks and the rest; `ScalarPairs` then cuts where nothing can merge.
  /// Spec: llama.cpp, llama-vocab.cpp, `LLAMA_VOCAB_PRE_TYPE_GEMMA4` and `…_SARVAM_MOE`.
  init(gemma4 description: TokenizerDescription, _ kinds: [TokenKind]) throws(TokenizerError) {
    if description.merges.isEmpty { throw .countMismatch("merges", count: 0, tokens: description.tokens.count) }
    self.init(sentencePieceTokens: description.tokens, Self.markingBytes(description.tokens, kinds), passes: [.lines])
    if description.preTokenizer != "sarvam-moe" {
      keepsLineBreakRuns = true
      addsBeginOfSequence = true
    }
    var spelling = MergeSpelling(alphabet: .text, table: table, pieces: pieces, count: description.merges.count)
    for (index, merge) in description.merges.enumerated() { try spelling.append(merge, at: index) }
    try spelling.finish()
    merges = spelling.merges
  }

  /// The kinds with every normal token that is spelled like a byte as that byte, whatever the file calls it.
  private static func markingBytes(_ tokens: [String], _ kinds: [TokenKind]) -> [TokenKind] {
    var kinds = kinds
    for (id, token) in tokens.enumerated() where kinds[id] == .normal && byteSpelled(by: token) != nil {
      kinds[id] = .byte
    }
    return kinds
  }
}
