/// A set of Unicode scalars as ascending ranges that do not touch.
struct ScalarRanges: Sendable, Hashable {
  private(set) var ranges: [ClosedRange<UInt32>] = []

  /// What a text can hold.
  static let all = ScalarRanges([0...0xd7ff, 0xe000...0x10ffff])
  /// What a JSON string holds by escapes only.
  static let escaped = ScalarRanges([0...0x1f, 0x22...0x22, 0x5c...0x5c])

  init() {}

  init(_ ranges: [ClosedRange<UInt32>]) {
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = self.ranges.last, range.lowerBound <= last.upperBound &+ 1 {
        self.ranges[self.ranges.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
      } else {
        self.ranges.append(range)
      }
    }
  }

  init(_ scalar: UInt32) { ranges = [scalar...scalar] }

  /// The scalars of a text.
  init(of text: String) { self.init(text.unicodeScalars.map { $0.value...$0.value }) }

  var isEmpty: Bool { ranges.isEmpty }

  /// Every scalar; for small sets.
  var members: [UInt32] { ranges.flatMap { Array($0) } }

  func contains(_ scalar: UInt32) -> Bool { ranges.contains { $0.contains(scalar) } }

  func union(_ other: ScalarRanges) -> ScalarRanges { ScalarRanges(ranges + other.ranges) }

  func intersection(_ other: ScalarRanges) -> ScalarRanges {
    var result = ScalarRanges()
    var (index, otherIndex) = (0, 0)
    while index < ranges.count, otherIndex < other.ranges.count {
      let (a, b) = (ranges[index], other.ranges[otherIndex])
      let (low, high) = (max(a.lowerBound, b.lowerBound), min(a.upperBound, b.upperBound))
      if low <= high { result.ranges.append(low...high) }
      if a.upperBound < b.upperBound { index += 1 } else { otherIndex += 1 }
    }
    return result
  }

  /// All of Unicode but these.
  var complement: ScalarRanges {
    var result: [ClosedRange<UInt32>] = []
    var next: UInt32 = 0
    for range in ranges {
      if range.lowerBound > next { result.append(next...range.lowerBound - 1) }
      next = range.upperBound + 1
    }
    if next <= 0x10ffff { result.append(next...0x10ffff) }
    return ScalarRanges(result).intersection(.all)
  }
}
