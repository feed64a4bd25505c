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
    var spelling = MergeSpelling(alphabet: .bytes)
    for (index, merge) in description.merges.enumerated() {
      try spelling.insert(merge, at: index, table, pieces, into: &merges)
    }
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

/// Reads merges, which are spelled as two tokens with a space between.
struct MergeSpelling {
  enum Alphabet {
    case bytes
    /// Text in which U+2581 means a space.
    case text
  }

  let alphabet: Alphabet
  private var left: [UInt8] = []
  private var right: [UInt8] = []

  init(alphabet: Alphabet) { self.alphabet = alphabet }

  /// Adds the merge at a place in the list; its place is its rank.
  mutating func insert(
    _ merge: String, at index: Int, _ table: PieceTable, _ pieces: Pieces, into merges: inout MergeTable
  ) throws(TokenizerError) {
    let utf8 = merge.utf8
    guard let space = utf8.firstIndex(of: 0x20), space > utf8.startIndex, utf8.index(after: space) < utf8.endIndex else {
      throw .malformedMerge(at: index)
    }
    try insert(utf8[..<space], utf8[utf8.index(after: space)...], at: index, table, pieces, into: &merges)
  }

  mutating func insert(
    _ leftSpelling: Substring.UTF8View, _ rightSpelling: Substring.UTF8View, at index: Int,
    _ table: PieceTable, _ pieces: Pieces, into merges: inout MergeTable
  ) throws(TokenizerError) {
    let leftID = try find(leftSpelling, &left, index, table, pieces)
    let rightID = try find(rightSpelling, &right, index, table, pieces)
    left.append(contentsOf: right)
    guard let result = left.withUnsafeBufferPointer({ table.find($0, in: pieces) }) else {
      throw .unknownTokenInMerge(at: index, token: String(Substring(leftSpelling)) + String(Substring(rightSpelling)))
    }
    merges.insert(left: leftID, right: rightID, rank: UInt32(index), result: result)
  }

  private func find(
    _ spelling: Substring.UTF8View, _ bytes: inout [UInt8], _ index: Int, _ table: PieceTable, _ pieces: Pieces
  ) throws(TokenizerError) -> Int32 {
    bytes.removeAll(keepingCapacity: true)
    let isSpelled =
      switch alphabet {
      case .bytes: ByteAlphabet.append(spelling, to: &bytes)
      case .text: LowerBlock.append(spelling, to: &bytes)
      }
    guard isSpelled, let id = bytes.withUnsafeBufferPointer({ table.find($0, in: pieces) }) else {
      throw .unknownTokenInMerge(at: index, token: String(Substring(spelling)))
    }
    return id
  }
}
