/// The pairs of neighbouring scalars that occur inside of tokens.
///
/// Every token that a merge makes spells a piece of the text, so text may be cut, exactly, between two scalars that are
/// neighbours in no token. In a vocabulary of words this cuts before every space, in any other wherever it can.
struct ScalarPairs: Sendable {
  /// [left of 128, right of 128] as bits.
  private var ascii = [UInt64](repeating: 0, count: 256)
  private var others: Set<UInt64> = []
  /// Scalars that are tokens; where they are given, text is not cut between two that are none.
  var known: Set<UInt32>?

  mutating func insert(token: UnsafeBufferPointer<UInt8>) {
    let text = ScalarText(token)
    var position = 0
    var previous: UInt32?
    while position < token.count {
      let (scalar, length) = text.scalar(at: position, end: token.count)
      if let previous {
        if previous < 128, scalar < 128 {
          let bit = Int(previous) << 7 | Int(scalar)
          ascii[bit >> 6] |= 1 << (bit & 63)
        } else {
          others.insert(UInt64(previous) << 32 | UInt64(scalar))
        }
      }
      previous = scalar
      position += length
    }
  }

  @inline(__always)
  private func contains(_ left: UInt32, _ right: UInt32) -> Bool {
    if left < 128, right < 128 {
      let bit = Int(left) << 7 | Int(right)
      return ascii[bit >> 6] >> (bit & 63) & 1 != 0
    }
    return others.contains(UInt64(left) << 32 | UInt64(right))
  }

  private func areUnknown(_ left: UInt32, _ right: UInt32) -> Bool {
    guard let known else { return false }
    return !known.contains(left) && !known.contains(right)
  }

  /// The piece up to the first cut after `start`.
  func match(in text: ScalarText, from start: Int, to end: Int) -> SplitMatch {
    var (left, length) = text.scalar(at: start, end: end)
    var position = start + length
    while position < end {
      let right: UInt32
      (right, length) = text.scalar(at: position, end: end)
      if !contains(left, right), !areUnknown(left, right) { return SplitMatch(end: position, sawEnd: false) }
      left = right
      position += length
    }
    return SplitMatch(end: end, sawEnd: true)
  }
}
