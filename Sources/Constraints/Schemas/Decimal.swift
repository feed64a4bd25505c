import ModelJSON

/// A number as the digits it is written with.
struct Decimal: Sendable, Hashable, Comparable {
  var isNegative = false
  /// Digits in front of the point, without leading zeros; empty for 0.
  var integer: [UInt8] = []
  /// Digits behind the point, without zeros at the end.
  var fraction: [UInt8] = []

  var isZero: Bool { integer.isEmpty && fraction.isEmpty }

  init(_ value: Int) {
    isNegative = value < 0
    integer = value == 0 ? [] : String(value.magnitude).utf8.map { $0 - 0x30 }
  }

  /// The shortest digits that read back as the number; nil where the value is none.
  init?(_ value: JSONValue) {
    self.init(0)
    switch value {
    case .integer(let number): self = Decimal(Int(number))
    case .number(let number) where number.isFinite:
      var text = number.magnitude.description[...]
      var exponent = 0
      if let mark = text.firstIndex(of: "e") {
        exponent = Int(text[text.index(after: mark)...]) ?? 0
        text = text[..<mark]
      }
      let halves = text.split(separator: ".", omittingEmptySubsequences: false).map { $0.utf8.map { $0 - 0x30 } }
      var (digits, point) = (halves.joined().map { $0 }, halves[0].count + exponent)
      if point < 0 { (digits, point) = ([UInt8](repeating: 0, count: -point) + digits, 0) }
      if point > digits.count { digits += [UInt8](repeating: 0, count: point - digits.count) }
      integer = Array(digits[..<point].drop { $0 == 0 })
      fraction = Array(digits[point...])
      while fraction.last == 0 { fraction.removeLast() }
      isNegative = number < 0
    default: return nil
    }
  }

  var magnitude: Decimal {
    var result = self
    result.isNegative = false
    return result
  }

  /// As an integer, where it is a small one.
  var smallInteger: Int? {
    guard fraction.isEmpty, integer.count <= 18 else { return nil }
    let value = integer.reduce(0) { $0 * 10 + Int($1) }
    return isNegative ? -value : value
  }

  static func < (a: Decimal, b: Decimal) -> Bool {
    if a.isNegative != b.isNegative { return a.isNegative && !(a.isZero && b.isZero) }
    return a.isNegative ? b.isSmallerInMagnitude(than: a) : a.isSmallerInMagnitude(than: b)
  }

  private func isSmallerInMagnitude(than other: Decimal) -> Bool {
    if integer.count != other.integer.count { return integer.count < other.integer.count }
    return (integer + fraction).lexicographicallyPrecedes(other.integer + other.fraction)
  }
}

/// Bounds on a number.
struct NumberRange: Sendable, Hashable {
  struct Bound: Sendable, Hashable {
    var value: Decimal
    var isExclusive: Bool
  }

  var low: Bound?
  var high: Bound?
  var multiple: Decimal?

  var isFree: Bool { low == nil && high == nil && multiple == nil }

  mutating func raise(_ value: Decimal, isExclusive: Bool) {
    if let low, value < low.value || (value == low.value && !isExclusive) { return }
    low = Bound(value: value, isExclusive: isExclusive)
  }

  mutating func lower(_ value: Decimal, isExclusive: Bool) {
    if let high, high.value < value || (value == high.value && !isExclusive) { return }
    high = Bound(value: value, isExclusive: isExclusive)
  }

  /// Whether no number lies in both.
  func isDisjoint(from other: NumberRange) -> Bool {
    func isBelow(_ high: Bound?, _ low: Bound?) -> Bool {
      guard let high, let low else { return false }
      return high.value < low.value || (high.value == low.value && (high.isExclusive || low.isExclusive))
    }
    return isBelow(high, other.low) || isBelow(other.high, low)
  }

  /// Whether an integer or another number lies in the bounds; the multiple is not looked at.
  func contains(_ value: Decimal) -> Bool {
    if let low, value < low.value || (low.isExclusive && value == low.value) { return false }
    if let high, high.value < value || (high.isExclusive && value == high.value) { return false }
    return true
  }
}
