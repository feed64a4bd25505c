extension Tokenizer.Parts {
  /// A unigram model from the key-values of a GGUF file, whose model is `t5` (Kudo 2018).
  init(unigram description: TokenizerDescription, _ kinds: [TokenKind]) throws(TokenizerError) {
    guard description.scores.count == description.tokens.count else {
      throw .countMismatch("scores", count: description.scores.count, tokens: description.tokens.count)
    }
    try self.init(unigramTokens: description.tokens, kinds, scores: description.scores)
    let adds = description.addsSpacePrefix ?? true
    spacePrefix = adds ? .always : .never
    stripsLeadingSpace = adds
    if !description.characterMap.isEmpty {
      characterMap = try CharacterMap(description.characterMap, matching: .longest)
    }
    if description.joinsSpaces {
      spaceRule = SpaceRule(joins: .spaces, stripsStart: true, stripsEnd: .spaces)
    }
  }

  /// The vocabulary of a unigram model; U+2581 spells a space, `<0x0A>` a byte.
  ///
  /// Unknown characters that follow each other are one unknown token, or their bytes where all of them are tokens.
  init(
    unigramTokens tokens: [String], _ kinds: [TokenKind], scores: [Float], passes: [SplitPattern] = []
  ) throws(TokenizerError) {
    if let index = scores.firstIndex(where: { !$0.isFinite }) { throw .invalidScore(at: index) }
    self.init(sentencePieceTokens: tokens, kinds, passes: passes, fusesUnknown: true)
    var scores = scores
    let ids = self.kinds.indices.filter { self.kinds[$0] == .normal || self.kinds[$0] == .userDefined }
    for id in ids where self.kinds[id] == .userDefined { scores[id] = 0 }
    unigram = UnigramModel(ids.map { Int32($0) }, in: pieces, scores: scores)
  }
}
