/// U+2581, by which SentencePiece spells a space.
enum LowerBlock {
  /// Appends text with each U+2581 as a space.
  static func append(_ spelling: some Sequence<UInt8>, to result: inout [UInt8]) {
    for byte in spelling {
      result.append(byte)
      if byte == 0x81, result.count >= 3, result[result.count - 2] == 0x96, result[result.count - 3] == 0xE2 {
        result.removeLast(3)
        result.append(0x20)
      }
    }
  }
}

extension Tokenizer.Parts {
  /// Tokens of more bytes take no part in merges, which bounds the time that a hostile vocabulary can take.
  private static let longestMerged = 256

  /// SentencePiece BPE from the key-values of a GGUF file (Kudo and Richardson 2018).
  ///
  /// Two symbols merge where they spell a token together, the pair with the highest score first. The pairs are listed
  /// here once, each token by all the places where it can be cut, so that encoding is that of any BPE.
  init(sentencePiece description: TokenizerDescription, _ kinds: [TokenKind]) throws(TokenizerError) {
    if let index = description.scores.firstIndex(where: \.isNaN) { throw .invalidScore(at: index) }
    self.init(sentencePieceTokens: description.tokens, kinds)
    let adds = description.addsSpacePrefix ?? true
    spacePrefix = adds ? .always : .never
    stripsLeadingSpace = adds
    addsBeginOfSequence = true

    let ranks = Self.ranks(description.scores)
    merges = MergeTable(capacity: description.tokens.count * 4)
    var halves: [Range<Int>] = []
    var ids: [Int32] = []
    var entries: [MergeTable.Entry] = []
    for index in description.tokens.indices where kinds[index] == .normal || kinds[index] == .userDefined {
      let id = Int32(index)
      let range = pieces.range(of: id)
      // Of two tokens with the same text the first is the one that is found, so it is the one to merge to.
      guard (2...Self.longestMerged).contains(range.count), table.isListed(id) else { continue }
      let rank = ranks.isEmpty ? 0 : ranks[index]
      halves.removeAll(keepingCapacity: true)
      pieces.withAllBytes { bytes in
        for cut in range.dropFirst() where bytes[cut] & 0xC0 != 0x80 {
          halves.append(range.lowerBound..<cut)
          halves.append(cut..<range.upperBound)
        }
        table.find(halves, of: bytes, in: pieces, ids: &ids)
      }
      for half in stride(from: 0, to: ids.count, by: 2) where ids[half] >= 0 && ids[half + 1] >= 0 {
        entries.append(MergeTable.Entry(left: ids[half], right: ids[half + 1], rank: rank, result: id))
      }
      guard entries.count >= 256 else { continue }
      merges.insert(entries)
      entries.removeAll(keepingCapacity: true)
    }
    merges.insert(entries)
  }

  /// The vocabulary of SentencePiece, without merges; U+2581 spells a space, `<0x0A>` a byte.
  /// `passes` cut the text before the merges do.
  init(
    sentencePieceTokens tokens: [String], _ kinds: [TokenKind], passes: [SplitPattern] = [], fusesUnknown: Bool = false
  ) {
    var kinds = kinds
    var pieces = Pieces()
    pieces.reserve(tokens: tokens.count)
    var table = PieceTable(capacity: tokens.count)
    var byteTokens = [Int32](repeating: -1, count: 256)
    var pairs = ScalarPairs()
    var bytes: [UInt8] = []
    var texts: [Int32] = []
    texts.reserveCapacity(tokens.count)
    for (index, token) in tokens.enumerated() {
      let id = Int32(index)
      switch kinds[index] {
      case .byte:
        guard let byte = byteSpelled(by: token) else {
          kinds[index] = .unused
          pieces.append(token.utf8)
          continue
        }
        pieces.append(CollectionOfOne(byte))
        if byteTokens[Int(byte)] < 0 { byteTokens[Int(byte)] = id }
      case .normal, .userDefined:
        bytes.removeAll(keepingCapacity: true)
        LowerBlock.append(token.utf8, to: &bytes)
        pieces.append(bytes)
        if bytes.isEmpty { continue }
        texts.append(id)
        pieces.withBytes(of: id) { pairs.insert(token: $0) }
      case .control, .unknown, .unused:
        pieces.append(token.utf8)
      }
    }
    table.insert(texts, in: pieces)
    if fusesUnknown { pairs.known = Set(tokens.compactMap { Self.onlyScalar(of: $0) }) }
    // A character may have no other token than a special or unused one.
    for index in tokens.indices where kinds[index] == .control || kinds[index] == .unused {
      let id = Int32(index)
      bytes.removeAll(keepingCapacity: true)
      LowerBlock.append(tokens[index].utf8, to: &bytes)
      if bytes.elementsEqual(pieces[id]), Self.onlyScalar(of: tokens[index]) != nil { table.insert(id, in: pieces) }
    }
    self.init(
      symbols: .scalars, pieces: pieces, kinds: kinds, table: table, byteTokens: byteTokens,
      merges: MergeTable(capacity: 0), preTokenizer: PreTokenizer(passes + [.neighbours(pairs)]))
    self.fusesUnknown = fusesUnknown
  }

  /// The scalar that a token is, a space for U+2581.
  private static func onlyScalar(of token: String) -> UInt32? {
    let scalars = token.unicodeScalars
    guard let first = scalars.first, scalars.count == 1 else { return nil }
    return first == "\u{2581}" ? 0x20 : first.value
  }

  /// The place of each score among the different scores, highest first.
  private static func ranks(_ scores: [Float]) -> [UInt32] {
    var ranks = [UInt32](repeating: 0, count: scores.count)
    var rank: UInt32 = 0
    var previous: Float?
    for index in scores.indices.sorted(by: { scores[$0] > scores[$1] }) {
      if let previous, scores[index] != previous { rank += 1 }
      previous = scores[index]
      ranks[index] = rank
    }
    return ranks
  }
}
