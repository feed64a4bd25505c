/// `` ?[^(\s|.,!?…。，、।۔،)]+``: words of whatever is neither white space nor one of these marks.
///
/// The parentheses and the bar stand inside of the brackets, so they are marks too.
enum BloomPattern {
  /// `( ) | . , ! ?` and the marks of other scripts: … 。 ， 、 । ۔ ،
  private static let marks = ScalarSet(
    classes: .space,
    ranges: [
      0x21...0x21, 0x28...0x29, 0x2C...0x2C, 0x2E...0x2E, 0x3F...0x3F, 0x7C...0x7C, 0x60C...0x60C, 0x6D4...0x6D4,
      0x964...0x964, 0x2026...0x2026, 0x3001...0x3002, 0xFF0C...0xFF0C,
    ])

  static func match(in text: ScalarText, from start: Int, to end: Int) -> SplitMatch {
    let bodyStart = text.bytes[start] == 0x20 ? start + 1 : start
    var position = bodyStart
    while position < end {
      let (value, length) = text.scalar(at: position, end: end)
      if marks.contains(value, text.classes[value]) { break }
      position += length
    }
    return SplitMatch(end: position > bodyStart ? position : start, sawEnd: position == end)
  }
}
