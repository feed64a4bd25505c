/// `<sentinel:[0-9]+>`, `IMGIMG[A-I]{1,4}Z`, and `[\t\n]|    |  `: three passes in one, since they share no character.
enum ChameleonPattern {
  static func match(in text: ScalarText, from start: Int, to end: Int) -> SplitMatch {
    let none = SplitMatch(end: start, sawEnd: false)
    switch text.bytes[start] {
    case 0x09, 0x0A: return SplitMatch(end: start + 1, sawEnd: false)
    case 0x20:
      let spaces = run(in: text, from: start, to: min(end, start + 4)) { $0 == 0x20 }
      let sawEnd = start + spaces == end && spaces < 4
      return SplitMatch(end: spaces == 4 ? start + 4 : spaces >= 2 ? start + 2 : start, sawEnd: sawEnd)
    case UInt8(ascii: "<"):
      return mark(
        in: text, from: start, to: end, after: "<sentinel:", most: .max, closing: UInt8(ascii: ">"),
        { (0x30...0x39).contains($0) })
    case UInt8(ascii: "I"):
      return mark(
        in: text, from: start, to: end, after: "IMGIMG", most: 4, closing: UInt8(ascii: "Z"),
        { (0x41...0x49).contains($0) })
    default: return none
    }
  }

  /// A fixed beginning, at least one byte of a kind, and a closing byte.
  private static func mark(
    in text: ScalarText, from start: Int, to end: Int, after beginning: StaticString, most: Int, closing: UInt8,
    _ isPart: (UInt8) -> Bool
  ) -> SplitMatch {
    var position = start
    for index in 0..<beginning.utf8CodeUnitCount {
      if position == end { return SplitMatch(end: start, sawEnd: true) }
      if text.bytes[position] != beginning.utf8Start[index] { return SplitMatch(end: start, sawEnd: false) }
      position += 1
    }
    let limit = most == .max ? end : min(end, position + most)
    let count = run(in: text, from: position, to: limit, isPart)
    position += count
    if position == end { return SplitMatch(end: start, sawEnd: true) }
    let matches = count > 0 && text.bytes[position] == closing
    return SplitMatch(end: matches ? position + 1 : start, sawEnd: false)
  }

  private static func run(in text: ScalarText, from start: Int, to end: Int, _ isPart: (UInt8) -> Bool) -> Int {
    var position = start
    while position < end, isPart(text.bytes[position]) { position += 1 }
    return position - start
  }
}
