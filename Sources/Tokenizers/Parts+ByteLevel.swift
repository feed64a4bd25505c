extension Tokenizer.Parts {
  /// Byte-level BPE from the key-values of a GGUF file.
  init(byteLevel description: TokenizerDescription, _ kinds: [TokenKind]) throws(TokenizerError) {
    let name = description.preTokenizer ?? "default"
    guard let named = PreTokenizer.named(name) else { throw .unsupportedPreTokenizer(name) }
    self.init(byteLevelTokens: description.tokens, kinds, preTokenizer: named.preTokenizer)
    keepsWholeWords = named.keepsWholeWords
    addsBeginOfSequence = named.addsBeginOfSequence
    spacePrefix = description.addsSpacePrefix == true ? .always : .never

    // As in llama.cpp, whose merges join text: what they make need not be a token, and falls apart where it is left; what
    // is no pair joins nothing.
    var spelling = MergeSpelling(
      alphabet: .bytes, table: table, pieces: pieces, count: description.merges.count, allowsUnlisted: true,
      skipsMalformed: true)
    for (index, merge) in description.merges.enumerated() { try spelling.append(merge, at: index) }
    try spelling.finish()
    (merges, unlisted) = (spelling.merges, spelling.unlisted)
    if spelling.malformedCount > 0 {
      let (are, they) = spelling.malformedCount == 1 ? ("is no pair", "it is") : ("are no pairs", "they are")
      warnings.append("\(spelling.malformedCount) of the tokenizer's merges \(are) of tokens; \(they) left out")
    }
  }

  /// The vocabulary of byte-level BPE, without merges; tokens are spelled in the byte alphabet.
  init(byteLevelTokens tokens: [String], _ kinds: [TokenKind], preTokenizer: PreTokenizer) {
    var pieces = Pieces()
    pieces.reserve(tokens: tokens.count)
    var table = PieceTable(capacity: tokens.count)
    var byteTokens = [Int32](repeating: -1, count: 256)
    var bytes: [UInt8] = []
    var texts: [Int32] = []
    texts.reserveCapacity(tokens.count)
    for (index, token) in tokens.enumerated() {
      let id = Int32(index)
      bytes.removeAll(keepingCapacity: true)
      // Special tokens are spelled as text, and so is what has a character outside the byte alphabet.
      let isSpelledInBytes =
        (kinds[index] == .normal || kinds[index] == .unused) && ByteAlphabet.append(token.utf8, to: &bytes)
      if isSpelledInBytes { pieces.append(bytes) } else { pieces.append(token.utf8) }
      guard isSpelledInBytes, kinds[index] == .normal, let first = bytes.first else { continue }
      texts.append(id)
      if bytes.count == 1, byteTokens[Int(first)] < 0 { byteTokens[Int(first)] = id }
    }
    table.insert(texts, in: pieces)
    // Merges may name special tokens, and a byte may have no other token than such a one.
    for (index, token) in tokens.enumerated() where kinds[index] != .normal {
      bytes.removeAll(keepingCapacity: true)
      guard ByteAlphabet.append(token.utf8, to: &bytes), let first = bytes.first else { continue }
      if bytes.elementsEqual(pieces[Int32(index)]) { table.insert(Int32(index), in: pieces) }
      if bytes.count == 1, byteTokens[Int(first)] < 0 { byteTokens[Int(first)] = Int32(index) }
    }
    self.init(
      symbols: .bytes, pieces: pieces, kinds: kinds, table: table, byteTokens: byteTokens,
      merges: MergeTable(capacity: 0), preTokenizer: preTokenizer)
  }
}
