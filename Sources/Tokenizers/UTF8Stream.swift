/// UTF-8 that arrives in arbitrary pieces, given out in whole characters only.
///
/// It holds back at most 3 bytes, the beginning of a character that may still become valid. What can never become valid
/// turns into U+FFFD, one for each maximal part of a character, as `String(decoding:as:)` does it on the whole.
struct UTF8Stream: Sendable {
  private var held: [UInt8] = []

  /// The characters that are complete with these bytes.
  mutating func append(_ bytes: some Sequence<UInt8>) -> String {
    held.append(contentsOf: bytes)
    let complete = held.count - Self.lengthOfUnfinishedEnd(held)
    defer { held.removeFirst(complete) }
    return String(decoding: held[..<complete], as: UTF8.self)
  }

  /// What is left, repaired.
  mutating func finish() -> String {
    defer { held.removeAll() }
    return String(decoding: held, as: UTF8.self)
  }

  /// The number of bytes at the end that begin a valid character without completing it, 0 to 3.
  static func lengthOfUnfinishedEnd(_ bytes: [UInt8]) -> Int {
    for length in 1...3 where length <= bytes.count {
      let start = bytes.count - length
      let first = bytes[start]
      if first & 0xC0 == 0x80 { continue }
      let expected =
        switch first {
        case 0xC2...0xDF: 2
        case 0xE0...0xEF: 3
        case 0xF0...0xF4: 4
        default: 0
        }
      guard length < expected else { return 0 }
      guard length > 1 else { return length }
      let second = bytes[start + 1]
      let isPossible =
        switch first {
        case 0xE0: second >= 0xA0
        case 0xED: second < 0xA0
        case 0xF0: second >= 0x90
        case 0xF4: second < 0x90
        default: true
        }
      return isPossible ? length : 0
    }
    return 0
  }
}
