extension Tokenizer {
  /// The largest number of tokens that is believed; the largest known vocabularies have 262,144.
  static let largestVocabulary = 1 << 24

  /// Builds a tokenizer from the key-values of a GGUF file.
  ///
  /// Throws for a model or pre-tokenizer that is not known, and for what contradicts itself: lists of other lengths
  /// than the vocabulary, ids outside of it, merges of tokens that it lacks.
  package convenience init(_ description: TokenizerDescription) throws(TokenizerError) {
    try description.checkCounts()
    let kinds = try description.tokenKinds()
    var parts =
      switch description.algorithm {
      case "gpt2": try Parts(byteLevel: description, kinds)
      case "llama": try Parts(sentencePiece: description, kinds)
      case "gemma4": try Parts(gemma4: description, kinds)
      default: throw .unsupportedModel(description.model)
      }
    parts.beginOfSequence = description.beginOfSequence.map(Int32.init)
    parts.endOfSequence = description.endOfSequence.map(Int32.init)
    parts.unknown = description.unknown.map(Int32.init)
    // Gemma 4 is nothing without its first token, so it is there whatever the key says.
    let addsBegin = parts.keepsLineBreakRuns ? true : description.addsBeginOfSequence ?? parts.addsBeginOfSequence
    parts.addsBeginOfSequence = parts.beginOfSequence != nil && addsBegin
    parts.addAddedTokens()
    for id in [description.endOfSequence, description.endOfTurn, description.endOfMessage] {
      if let id { parts.endOfGeneration.insert(Int32(id)) }
    }
    self.init(parts)
  }
}

extension TokenizerDescription {
  fileprivate func checkCounts() throws(TokenizerError) {
    if tokens.isEmpty { throw .emptyVocabulary }
    if tokens.count > Tokenizer.largestVocabulary { throw .vocabularyTooLarge(tokens.count) }
    for (part, count) in [("scores", scores.count), ("token types", kinds.count)] {
      if count != 0 && count != tokens.count { throw .countMismatch(part, count: count, tokens: tokens.count) }
    }
    let ids = [
      ("begin-of-sequence token", beginOfSequence), ("end-of-sequence token", endOfSequence),
      ("end-of-turn token", endOfTurn), ("end-of-message token", endOfMessage), ("unknown token", unknown),
    ]
    for (part, id) in ids {
      if let id, !tokens.indices.contains(id) { throw .identifierOutOfRange(part, id: id, tokens: tokens.count) }
    }
  }

  /// The kinds of all tokens; without any in the file, by the ids of the special tokens and the spelling of bytes.
  fileprivate func tokenKinds() throws(TokenizerError) -> [TokenKind] {
    if !kinds.isEmpty { return kinds.map(TokenKind.init(number:)) }
    var result = [TokenKind](repeating: .normal, count: tokens.count)
    if model == "llama" || model == "gemma4" {
      for (id, token) in tokens.enumerated() where byteSpelled(by: token) != nil { result[id] = .byte }
    }
    for id in [beginOfSequence, endOfSequence, endOfTurn, endOfMessage] {
      if let id { result[id] = .control }
    }
    if let unknown { result[unknown] = .unknown }
    return result
  }
}

/// The byte that a token like `<0x0A>` spells.
func byteSpelled(by token: String) -> UInt8? {
  let bytes = token.utf8
  guard bytes.count == 6, bytes.starts(with: "<0x".utf8), bytes.last == UInt8(ascii: ">") else { return nil }
  let digits = bytes.dropFirst(3).prefix(2).compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
  return digits.count == 2 ? UInt8(digits[0] << 4 | digits[1]) : nil
}

extension Tokenizer.Parts {
  /// Lists special and user-defined tokens by kind, and the special ones that end an answer.
  mutating func addAddedTokens() {
    for index in kinds.indices {
      let id = Int32(index)
      switch kinds[index] {
      case .control, .unknown: special.append(AddedToken(id: id, content: Array(pieces[id])))
      case .userDefined: userDefined.append(AddedToken(id: id, content: Array(pieces[id])))
      default: break
      }
    }
    addEndings()
  }
}
