import Tokenizers

extension TextSource {
  /// The first `count` tokens of the texts together.
  static func tokens(of sources: [TextSource], upTo count: Int, _ tokenizer: Tokenizer) throws -> [Int32] {
    var tokens: [Int32] = []
    if tokenizer.addsBeginOfSequence, let begin = tokenizer.beginOfSequence { tokens.append(begin) }
    for source in sources {
      var encoder = IncrementalEncoder(tokenizer)
      try source.forEachPiece { bytes in
        tokens += encoder.append(bytes)
        return tokens.count < count
      }
      if tokens.count < count { tokens += encoder.finish() }
    }
    guard tokens.count >= count else {
      throw CommandError(
        "position \(count) is beyond the text, which has \(HumanReadable.tokens(tokens.count))")
    }
    return Array(tokens.prefix(count))
  }
}
