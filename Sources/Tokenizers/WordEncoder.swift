/// Encodes prepared text word by word and collects the ids.
struct WordEncoder {
  private let tokenizer: Tokenizer
  private var merging = PairMerging()
  private var unigramWorkspace = UnigramModel.Workspace()
  var ids: [Int32] = []

  init(_ tokenizer: Tokenizer) { self.tokenizer = tokenizer }

  /// Encodes text and returns how much of it is done; with `isOpen` it stops before what text to come could change.
  mutating func encode(_ text: UnsafeBufferPointer<UInt8>, isOpen: Bool) -> Int {
    // A reference, since a copy of the parts for each word costs more than the word.
    let tokenizer = tokenizer
    if let pieces = tokenizer.parts.prefixedPieces {
      return pieces.forEachWord(in: ScalarText(text), from: 0, to: text.count, isOpen: isOpen) { start, end in
        encodePiece(UnsafeBufferPointer(rebasing: text[start..<end]), tokenizer)
      }
    }
    return tokenizer.parts.preTokenizer.forEachWord(
      in: ScalarText(text), from: 0, to: text.count, isOpen: isOpen
    ) { start, end in
      encodeWord(UnsafeBufferPointer(rebasing: text[start..<end]), tokenizer)
    }
  }

  /// Encodes a piece that gets a space in front unless it starts with one.
  private mutating func encodePiece(_ piece: UnsafeBufferPointer<UInt8>, _ tokenizer: Tokenizer) {
    var prefixed: [UInt8] = piece.first == 0x20 ? [] : [0x20]
    prefixed.append(contentsOf: piece)
    prefixed.withUnsafeBufferPointer { text in
      _ = tokenizer.parts.preTokenizer.forEachWord(
        in: ScalarText(text), from: 0, to: text.count, isOpen: false
      ) { start, end in
        encodeWord(UnsafeBufferPointer(rebasing: text[start..<end]), tokenizer)
      }
    }
  }

  @inline(__always)
  private mutating func encodeWord(_ word: UnsafeBufferPointer<UInt8>, _ tokenizer: Tokenizer) {
    let staysWhole = tokenizer.parts.keepsWholeWords || tokenizer.parts.keepsLineBreakRuns && word[0] == 0x0A
    if staysWhole, let id = tokenizer.parts.table.find(word, in: tokenizer.parts.pieces), tokenizer.parts.isText(id) {
      ids.append(id)
      return
    }
    merging.symbols.removeAll(keepingCapacity: true)
    if tokenizer.parts.unigram != nil {
      appendParts(of: word, tokenizer)
      ids.append(contentsOf: merging.symbols)
      return
    }
    switch tokenizer.parts.symbols {
    case .bytes: for byte in word { appendByte(byte, tokenizer) }
    case .scalars: appendScalars(of: word, tokenizer)
    }
    merging.merge(with: tokenizer.parts.merges)
    if tokenizer.parts.unlisted.count > 0 { spellUnlisted(tokenizer) }
    ids.append(contentsOf: merging.symbols)
  }

  /// The best path of a unigram model; characters that it does not spell stand together.
  private mutating func appendParts(of word: UnsafeBufferPointer<UInt8>, _ tokenizer: Tokenizer) {
    guard let unigram = tokenizer.parts.unigram else { return }
    var symbols = merging.symbols
    var unknown = 0..<0
    func closeUnknown() {
      defer { unknown = 0..<0 }
      if unknown.isEmpty { return }
      if word[unknown].allSatisfy({ tokenizer.parts.byteTokens[Int($0)] >= 0 }) {
        symbols.append(contentsOf: word[unknown].map { tokenizer.parts.byteTokens[Int($0)] })
      } else if let id = tokenizer.parts.unknown {
        symbols.append(id)
      }
    }
    unigram.forEachPart(of: word, &unigramWorkspace) { part in
      if let token = part.token {
        closeUnknown()
        symbols.append(token)
      } else {
        unknown = (unknown.isEmpty ? part.range.lowerBound : unknown.lowerBound)..<part.range.upperBound
      }
    }
    closeUnknown()
    merging.symbols = symbols
  }

  /// Puts the bytes of what merges made and the vocabulary lacks in its place.
  private mutating func spellUnlisted(_ tokenizer: Tokenizer) {
    let symbols = merging.symbols
    merging.symbols.removeAll(keepingCapacity: true)
    for symbol in symbols {
      let place = Int(symbol) - tokenizer.parts.pieces.count
      if place < 0 {
        merging.symbols.append(symbol)
      } else {
        for byte in tokenizer.parts.unlisted[Int32(place)] { appendByte(byte, tokenizer) }
      }
    }
  }

  /// The token of a byte; where the vocabulary has none, the unknown token, and nothing where it lacks that too.
  @inline(__always)
  private mutating func appendByte(_ byte: UInt8, _ tokenizer: Tokenizer) {
    let id = tokenizer.parts.byteTokens[Int(byte)]
    if id >= 0 {
      merging.symbols.append(id)
    } else if let unknown = tokenizer.parts.unknown,
      !tokenizer.parts.fusesUnknown || merging.symbols.last != unknown
    {
      merging.symbols.append(unknown)
    }
  }

  private mutating func appendScalars(of word: UnsafeBufferPointer<UInt8>, _ tokenizer: Tokenizer) {
    let text = ScalarText(word)
    var position = 0
    while position < word.count {
      let length = text.scalar(at: position, end: word.count).length
      let scalar = UnsafeBufferPointer(rebasing: word[position..<position + length])
      position += length
      if let id = tokenizer.parts.table.find(scalar, in: tokenizer.parts.pieces) {
        merging.symbols.append(id)
      } else if scalar.allSatisfy({ tokenizer.parts.byteTokens[Int($0)] >= 0 }) {
        for byte in scalar { appendByte(byte, tokenizer) }
      } else if let unknown = tokenizer.parts.unknown {
        if tokenizer.parts.fusesUnknown, merging.symbols.last == unknown { continue }
        merging.symbols.append(unknown)
      }
    }
  }
}
