/// A string as Python has it, a list of Unicode scalars, in which each scalar knows where it comes from.
///
/// Bit 31 of a scalar is set where it came from outside the template: from a message, a tool, any variable that is not
/// said to be the template's own. Whatever moves scalars (slices, joins, `replace`, `upper`) so moves their marks.
/// Equality, order and search look at scalars only.
struct MarkedText: Sendable {
  static let contentBit: UInt32 = 1 << 31
  static let scalarMask: UInt32 = contentBit - 1

  /// Scalars with their marks.
  var units: [UInt32]
  /// Whether this is markup in MarkupSafe's sense: what is added to it gets escaped.
  var isMarkup = false

  init(units: [UInt32] = [], isMarkup: Bool = false) {
    self.units = units
    self.isMarkup = isMarkup
  }

  /// Template text.
  init(_ text: String) { units = Self.units(of: text, marked: 0) }

  /// Text from outside.
  init(content text: String) { units = Self.units(of: text, marked: Self.contentBit) }

  var count: Int { units.count }
  var isEmpty: Bool { units.isEmpty }

  /// The scalar at a place, without its mark.
  subscript(index: Int) -> UInt32 { units[index] & Self.scalarMask }

  func slice(_ range: Range<Int>) -> MarkedText { MarkedText(units: Array(units[range]), isMarkup: isMarkup) }

  /// Whether any of it came from outside.
  var hasContent: Bool { units.contains { $0 & Self.contentBit != 0 } }

  /// All of it from outside, or none.
  func marked(content: Bool) -> MarkedText {
    MarkedText(units: units.map { content ? $0 | Self.contentBit : $0 & Self.scalarMask }, isMarkup: isMarkup)
  }

  var string: String { Self.string(units[...]) }

  /// Scalars without marks.
  var scalars: [UInt32] { units.map { $0 & Self.scalarMask } }

  func hasPrefix(_ other: MarkedText, at start: Int = 0) -> Bool {
    guard start >= 0, start + other.count <= count else { return false }
    for index in 0..<other.count where (units[start + index] ^ other.units[index]) & Self.scalarMask != 0 {
      return false
    }
    return true
  }

  func hasSuffix(_ other: MarkedText) -> Bool { hasPrefix(other, at: count - other.count) }

  /// Where another text begins in a range of this one, or nil.
  func firstIndex(of other: MarkedText, in range: Range<Int>) -> Int? {
    guard range.count >= other.count else { return nil }
    guard let first = other.units.first.map({ $0 & Self.scalarMask }) else { return range.lowerBound }
    for start in range.lowerBound...(range.upperBound - other.count)
    where units[start] & Self.scalarMask == first && hasPrefix(other, at: start) { return start }
    return nil
  }

  func lastIndex(of other: MarkedText, in range: Range<Int>) -> Int? {
    guard range.count >= other.count else { return nil }
    var start = range.upperBound - other.count
    while start >= range.lowerBound {
      if hasPrefix(other, at: start) { return start }
      start -= 1
    }
    return nil
  }

  func contains(_ other: MarkedText) -> Bool { firstIndex(of: other, in: 0..<count) != nil }
}

extension MarkedText: Hashable {
  static func == (a: MarkedText, b: MarkedText) -> Bool { a.count == b.count && a.hasPrefix(b) }
  func hash(into hasher: inout Hasher) {
    for unit in units { hasher.combine(unit & Self.scalarMask) }
  }
}

extension MarkedText: Comparable {
  static func < (a: MarkedText, b: MarkedText) -> Bool {
    for (a, b) in zip(a.units, b.units) where (a ^ b) & scalarMask != 0 { return a & scalarMask < b & scalarMask }
    return a.count < b.count
  }
}

extension MarkedText: ExpressibleByStringLiteral {
  init(stringLiteral value: String) { self.init(value) }
}
