/// Encodes prepared text word by word and collects the ids.
struct WordEncoder {
  private let tokenizer: Tokenizer
  private var merging = PairMerging()
  var ids: [Int32] = []

  init(_ tokenizer: Tokenizer) { self.tokenizer = tokenizer }

  /// Encodes text and returns how much of it is done; with `isOpen` it stops before what text to come could change.
  mutating func encode(_ text: UnsafeBufferPointer<UInt8>, isOpen: Bool) -> Int {
    let parts = tokenizer.parts
    if let pieces = parts.prefixedPieces {
      return pieces.forEachWord(in: ScalarText(text), from: 0, to: text.count, isOpen: isOpen) { start, end in
        encodePiece(UnsafeBufferPointer(rebasing: text[start..<end]), parts)
      }
    }
    return parts.preTokenizer.forEachWord(in: ScalarText(text), from: 0, to: text.count, isOpen: isOpen) { start, end in
      encodeWord(UnsafeBufferPointer(rebasing: text[start..<end]), parts)
    }
  }

  /// Encodes a piece that gets a space in front unless it starts with one.
  private mutating func encodePiece(_ piece: UnsafeBufferPointer<UInt8>, _ parts: Tokenizer.Parts) {
    var prefixed: [UInt8] = piece.first == 0x20 ? [] : [0x20]
    prefixed.append(contentsOf: piece)
    prefixed.withUnsafeBufferPointer { text in
      _ = parts.preTokenizer.forEachWord(in: ScalarText(text), from: 0, to: text.count, isOpen: false) { start, end in
        encodeWord(UnsafeBufferPointer(rebasing: text[start..<end]), parts)
      }
    }
  }

  @inline(__always)
  private mutating func encodeWord(_ word: UnsafeBufferPointer<UInt8>, _ parts: Tokenizer.Parts) {
    if parts.keepsWholeWords, let id = parts.table.find(word, in: parts.pieces), parts.isText(id) {
      ids.append(id)
      return
    }
    merging.symbols.removeAll(keepingCapacity: true)
    switch parts.symbols {
    case .bytes: for byte in word { appendByte(byte, parts) }
    case .scalars: appendScalars(of: word, parts)
    }
    merging.merge(with: parts.merges)
    if parts.unlisted.count == 0 {
      ids.append(contentsOf: merging.symbols)
    } else {
      appendListed(parts)
    }
  }

  /// Appends what the merges made, with the bytes of what is no token in its place.
  private mutating func appendListed(_ parts: Tokenizer.Parts) {
    let symbols = merging.symbols
    merging.symbols.removeAll(keepingCapacity: true)
    for symbol in symbols {
      let place = Int(symbol) - parts.pieces.count
      if place < 0 {
        merging.symbols.append(symbol)
      } else {
        for byte in parts.unlisted[Int32(place)] { appendByte(byte, parts) }
      }
    }
    ids.append(contentsOf: merging.symbols)
  }

  /// The token of a byte; where the vocabulary has none, the unknown token, and nothing where it lacks that too.
  @inline(__always)
  private mutating func appendByte(_ byte: UInt8, _ parts: Tokenizer.Parts) {
    let id = parts.byteTokens[Int(byte)]
    if id >= 0 {
      merging.symbols.append(id)
    } else if let unknown = parts.unknown, !parts.fusesUnknown || merging.symbols.last != unknown {
      merging.symbols.append(unknown)
    }
  }

  private mutating func appendScalars(of word: UnsafeBufferPointer<UInt8>, _ parts: Tokenizer.Parts) {
    let text = ScalarText(word)
    var position = 0
    while position < word.count {
      let length = text.scalar(at: position, end: word.count).length
      let scalar = UnsafeBufferPointer(rebasing: word[position..<position + length])
      position += length
      if let id = parts.table.find(scalar, in: parts.pieces) {
        merging.symbols.append(id)
      } else if scalar.allSatisfy({ parts.byteTokens[Int($0)] >= 0 }) {
        for byte in scalar { appendByte(byte, parts) }
      } else if let unknown = parts.unknown {
        if parts.fusesUnknown, merging.symbols.last == unknown { continue }
        merging.symbols.append(unknown)
      }
    }
  }
}
