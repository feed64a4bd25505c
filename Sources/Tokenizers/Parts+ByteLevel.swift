extension Tokenizer.Parts {
  /// Byte-level BPE from the key-values of a GGUF file.
  init(byteLevel description: TokenizerDescription, _ kinds: [TokenKind]) throws(TokenizerError) {
    let name = description.preTokenizer ?? "default"
    guard let named = PreTokenizer.named(name) else { throw .unsupportedPreTokenizer(name) }
    self.init(byteLevelTokens: description.tokens, kinds, preTokenizer: named.preTokenizer)
    keepsWholeWords = named.keepsWholeWords
    addsBeginOfSequence = named.addsBeginOfSequence
    spacePrefix = description.addsSpacePrefix == true ? .always : .never

    merges = MergeTable(capacity: description.merges.count)
    var spelling = MergeSpelling(alphabet: .bytes, table: table, pieces: pieces)
    for (index, merge) in description.merges.enumerated() { try spelling.insert(merge, at: index, into: &merges) }
  }

  /// The vocabulary of byte-level BPE, without merges; tokens are spelled in the byte alphabet.
  init(byteLevelTokens tokens: [String], _ kinds: [TokenKind], preTokenizer: PreTokenizer) {
    var pieces = Pieces()
    pieces.reserve(tokens: tokens.count)
    var table = PieceTable(capacity: tokens.count)
    var byteTokens = [Int32](repeating: -1, count: 256)
    var bytes: [UInt8] = []
    for (index, token) in tokens.enumerated() {
      let id = Int32(index)
      bytes.removeAll(keepingCapacity: true)
      // Special tokens are spelled as text, and so is what has a character outside the byte alphabet.
      let isSpelledInBytes = kinds[index] == .normal && ByteAlphabet.append(token.utf8, to: &bytes)
      if isSpelledInBytes { pieces.append(bytes) } else { pieces.append(token.utf8) }
      guard isSpelledInBytes, let first = bytes.first else { continue }
      table.insert(id, in: pieces)
      if bytes.count == 1, byteTokens[Int(first)] < 0 { byteTokens[Int(first)] = id }
    }
    self.init(
      symbols: .bytes, pieces: pieces, kinds: kinds, table: table, byteTokens: byteTokens,
      merges: MergeTable(capacity: 0), preTokenizer: preTokenizer)
  }
}
