extension Tokenizer {
  /// The largest number of tokens that is believed; the largest known vocabularies have 262,144.
  static let largestVocabulary = 1 << 24

  /// Builds a tokenizer from the key-values of a GGUF file.
  ///
  /// Ids of special tokens outside of the vocabulary are left out with a warning. Throws for a model or pre-tokenizer that
  /// is not known, and for lists of other lengths than the vocabulary.
  ///
  /// - Parameter limit: the most tokens that the model has rows for; those beyond are left out with a warning.
  package convenience init(_ description: TokenizerDescription, limit: Int? = nil) throws(TokenizerError) {
    var description = description
    try description.checkCounts()
    var warnings: [String] = []
    if let limit { description.limit(to: limit, &warnings) }
    description.dropImpossibleIDs(&warnings)
    let kinds = try description.tokenKinds()
    var parts =
      switch description.algorithm {
      case "gpt2": try Parts(byteLevel: description, kinds)
      case "llama": try Parts(sentencePiece: description, kinds)
      case "t5": try Parts(unigram: description, kinds)
      case "gemma4": try Parts(gemma4: description, kinds)
      default: throw .unsupportedModel(description.model)
      }
    parts.beginOfSequence = description.beginOfSequence.map(Int32.init)
    parts.endOfSequence = description.endOfSequence.map(Int32.init)
    let hasUnknown = description.algorithm == "llama" || description.algorithm == "t5"
    let usual = hasUnknown ? kinds.firstIndex(of: .unknown) : nil
    parts.unknown = (description.unknown ?? usual).map(Int32.init)
    parts.warnings = warnings + parts.warnings
    // Gemma 4 is nothing without its first token, so it is there whatever the key says.
    let addsBegin = parts.keepsLineBreakRuns ? true : description.addsBeginOfSequence ?? parts.addsBeginOfSequence
    parts.addsBeginOfSequence = parts.beginOfSequence != nil && addsBegin
    parts.addAddedTokens()
    if hasUnknown { parts.normalizeUserDefined(description.tokens) }
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
  }

  /// Forgets special tokens that do not exist, as other programs do.
  fileprivate mutating func dropImpossibleIDs(_ warnings: inout [String]) {
    let ids: [(String, WritableKeyPath<TokenizerDescription, Int?>)] = [
      ("begin-of-sequence token", \.beginOfSequence), ("end-of-sequence token", \.endOfSequence),
      ("end-of-turn token", \.endOfTurn), ("end-of-message token", \.endOfMessage), ("unknown token", \.unknown),
    ]
    for (part, path) in ids {
      guard let id = self[keyPath: path], !tokens.indices.contains(id) else { continue }
      warnings.append("the tokenizer's \(part) is \(id), outside its \(tokens.count) tokens; it is left out")
      self[keyPath: path] = nil
    }
  }

  /// Leaves out the tokens that a model has no rows for.
  fileprivate mutating func limit(to count: Int, _ warnings: inout [String]) {
    guard count < tokens.count else { return }
    warnings.append(Tokenizer.limitWarning(tokens: tokens.count, rows: count))
    tokens.removeLast(tokens.count - count)
    if kinds.count > count { kinds.removeLast(kinds.count - count) }
    if scores.count > count { scores.removeLast(scores.count - count) }
  }

  /// The kinds of all tokens; without any in the file, by the ids of the special tokens and the spelling of bytes.
  fileprivate func tokenKinds() throws(TokenizerError) -> [TokenKind] {
    if !kinds.isEmpty { return kinds.map(TokenKind.init(number:)) }
    var result = [TokenKind](repeating: .normal, count: tokens.count)
    if ["llama", "gemma4", "t5"].contains(model) {
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

extension Tokenizer {
  static func limitWarning(tokens: Int, rows: Int) -> String {
    "the tokenizer knows \(tokens) tokens, but the model only \(rows); the others are left out"
  }
}

extension Tokenizer.Parts {
  /// Whether text may become the token without being looked for.
  func isText(_ id: Int32) -> Bool { kinds[Int(id)] == .normal || kinds[Int(id)] == .userDefined }

  /// Has user-defined pieces that are spelled with U+2581 looked for where spaces have been prepared, as SentencePiece does.
  fileprivate mutating func normalizeUserDefined(_ tokens: [String]) {
    for index in userDefined.indices {
      let token = tokens[Int(userDefined[index].id)]
      guard token.unicodeScalars.contains("\u{2581}") else { continue }
      userDefined[index].isNormalized = true
      userDefined[index].content = Array(token.utf8)
    }
  }

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
