/// What becomes of white space before text is cut.
struct SpaceRule: Sendable {
  /// Which characters are meant: U+0020, at the end of a text U+2581 too, or all white space.
  enum Characters: Sendable {
    case spaces
    case whiteSpace
  }

  /// Runs of them become one space; of the first kind only runs of two or more change at all.
  var joins: Characters?
  var stripsStart = false
  var stripsEnd: Characters?

  /// Applies the rule to what stands in `text` from a place on.
  ///
  /// - Parameter isStart: whether nothing of the text stands before it
  func apply(to text: inout [UInt8], from start: Int, isStart: Bool) {
    if joins == nil, stripsEnd == nil { return }
    var result: [UInt8] = []
    text[start...].withUnsafeBufferPointer { bytes in
      let end = stripsEnd.map { self.end(of: bytes, without: $0) } ?? bytes.count
      let scalars = ScalarText(bytes)
      result.reserveCapacity(end)
      var position = 0
      while position < end {
        guard let joins else {
          result.append(contentsOf: bytes[position..<end])
          break
        }
        let runEnd = Self.endOfRun(joins, scalars, from: position, to: end)
        if runEnd > position {
          let isLeading = position == 0 && isStart && stripsStart
          // What is split at white space gets a space in front only where it does not begin with the sign for one.
          let isMarked = joins == .whiteSpace && bytes[runEnd...].starts(with: [0xE2, 0x96, 0x81])
          if !isLeading && !isMarked { result.append(0x20) }
          position = runEnd
        } else {
          let next = position + scalars.scalar(at: position, end: end).length
          result.append(contentsOf: bytes[position..<next])
          position = next
        }
      }
    }
    text.replaceSubrange(start..., with: result)
  }

  private static func endOfRun(_ characters: Characters, _ text: ScalarText, from start: Int, to end: Int) -> Int {
    if characters == .whiteSpace { return text.endOfRun(of: .space, from: start, end: end) }
    var position = start
    while position < end, text.bytes[position] == 0x20 { position += 1 }
    return position
  }

  private func end(of text: UnsafeBufferPointer<UInt8>, without characters: Characters) -> Int {
    if characters == .whiteSpace { return Tokenizer.startOfSpace(text, before: text.count, from: 0) }
    // SentencePiece has replaced spaces by its sign for them when it strips.
    var end = text.count
    while end > 0 {
      if text[end - 1] == 0x20 {
        end -= 1
      } else if end >= 3, text[end - 1] == 0x81, text[end - 2] == 0x96, text[end - 3] == 0xE2 {
        end -= 3
      } else {
        break
      }
    }
    return end
  }
}
