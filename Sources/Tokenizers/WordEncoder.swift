/// Encodes prepared text word by word and collects the ids.
struct WordEncoder {
  private let tokenizer: Tokenizer
  private var merging = PairMerging()
  var ids: [Int32] = []

  init(_ tokenizer: Tokenizer) { self.tokenizer = tokenizer }

  /// Encodes text and returns how much of it is done; with `isOpen` it stops before what text to come could change.
  mutating func encode(_ text: UnsafeBufferPointer<UInt8>, isOpen: Bool) -> Int {
    let parts = tokenizer.parts
    return parts.preTokenizer.forEachWord(in: ScalarText(text), from: 0, to: text.count, isOpen: isOpen) { start, end in
      encodeWord(UnsafeBufferPointer(rebasing: text[start..<end]), parts)
    }
  }

  @inline(__always)
  private mutating func encodeWord(_ word: UnsafeBufferPointer<UInt8>, _ parts: Tokenizer.Parts) {
    let staysWhole = parts.keepsWholeWords || parts.keepsLineBreakRuns && word[0] == 0x0A
    if staysWhole, let id = parts.table.find(word, in: parts.pieces) {
      ids.append(id)
      return
    }
    merging.symbols.removeAll(keepingCapacity: true)
    switch parts.symbols {
    case .bytes: for byte in word { appendByte(byte, parts) }
    case .scalars: appendScalars(of: word, parts)
    }
    merging.merge(with: parts.merges)
    ids.append(contentsOf: merging.symbols)
  }

  /// The token of a byte; where the vocabulary has none, the unknown token, and nothing where it lacks that too.
  @inline(__always)
  private mutating func appendByte(_ byte: UInt8, _ parts: Tokenizer.Parts) {
    let id = parts.byteTokens[Int(byte)]
    if id >= 0 {
      merging.symbols.append(id)
    } else if let unknown = parts.unknown {
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
        merging.symbols.append(unknown)
      }
    }
  }
}
