extension GrammarBuilder {
  /// The most digits in front of the point, so that integers fit 64 bits and no writer gets lost in digits.
  private static let digits = 18
  private static let (fractionDigits, exponentDigits) = (17, 2)

  /// Numbers in a range, or all of up to 18 digits in front of the point and 17 behind it.
  ///
  /// In a range they have no exponent and at most 15 digits, which any reader of doubles keeps apart.
  mutating func number(
    _ range: NumberRange, allowsFraction: Bool, _ pointer: String, _ source: Int32, _ target: Int32
  ) throws(ConstraintError) {
    guard !range.isFree else { return try freeNumber(allowsFraction: allowsFraction, source, target) }
    var digits = BoundedDigits(fraction: allowsFraction ? 15 : 0)
    if let multiple = range.multiple { try digits.keep(multiple, pointer) }
    // Bounds beyond all digits are none, or leave nothing.
    let (high, low) = (range.high.flatMap(Self.withinDigits), range.low.flatMap(Self.withinDigits))
    if let bound = range.low, low == nil, !bound.value.isNegative {
      throw ConstraintError(pointer, "minimum", "is larger than numbers that can be kept")
    }
    if let bound = range.high, high == nil, bound.value.isNegative {
      throw ConstraintError(pointer, "maximum", "is smaller than numbers that can be kept")
    }
    if let low, let high, high.value < low.value || (high.value == low.value && (high.isExclusive || low.isExclusive)) {
      throw ConstraintError(pointer, "minimum", "and maximum leave no number")
    }
    let zero = NumberRange.Bound(value: Decimal(0), isExclusive: false)
    if high.map({ !$0.value.isNegative }) ?? true {
      let from = low.map { $0.value.isNegative ? zero : $0 } ?? zero
      try digits.add(to: &self, from: source, to: target, low: from, high: high)
    }
    guard low.map({ $0.value.isNegative }) ?? true else { return }
    let minus = try state()
    edge(source, UInt8(ascii: "-"), minus)
    var from = NumberRange.Bound(value: Decimal(0), isExclusive: true)
    if let high, high.value.isNegative { from = .init(value: high.value.magnitude, isExclusive: high.isExclusive) }
    let to = low.map { NumberRange.Bound(value: $0.value.magnitude, isExclusive: $0.isExclusive) }
    try digits.add(to: &self, from: minus, to: target, low: from, high: to)
  }

  private static func withinDigits(_ bound: NumberRange.Bound) -> NumberRange.Bound? {
    bound.value.integer.count <= digits ? bound : nil
  }

  private mutating func freeNumber(allowsFraction: Bool, _ source: Int32, _ target: Int32) throws(ConstraintError) {
    let zero = UInt8(ascii: "0")...UInt8(ascii: "0")
    let (positive, any) = (UInt8(ascii: "1")...UInt8(ascii: "9"), UInt8(ascii: "0")...UInt8(ascii: "9"))
    let (minus, whole, fractional, end) = (try state(), try state(), try state(), try state())
    edge(source, UInt8(ascii: "-"), minus)
    edge(source, zero, whole)
    if allowsFraction { edge(minus, zero, whole) }
    var current = try state()
    edge(source, positive, current)
    edge(minus, positive, current)
    epsilon(current, whole)
    for _ in 1..<Self.digits {
      let next = try state()
      edge(current, any, next)
      epsilon(next, whole)
      current = next
    }
    epsilon(whole, end)
    epsilon(end, target)
    guard allowsFraction else { return }
    current = try state()
    edge(whole, UInt8(ascii: "."), current)
    for _ in 0..<Self.fractionDigits {
      let next = try state()
      edge(current, any, next)
      epsilon(next, fractional)
      current = next
    }
    let (exponent, sign) = (try state(), try state())
    for letter in "eE".utf8 {
      edge(whole, letter, exponent)
      edge(fractional, letter, exponent)
    }
    for letter in "+-".utf8 { edge(exponent, letter, sign) }
    epsilon(exponent, sign)
    current = sign
    for _ in 0..<Self.exponentDigits {
      let next = try state()
      edge(current, any, next)
      epsilon(next, target)
      current = next
    }
    epsilon(fractional, target)
  }
}

/// Digits of numbers between two bounds: whether those so far are equal to those of a bound decides which may come next.
private struct BoundedDigits {
  private struct Place: Hashable {
    /// Digits in front of the point; −1 where only those that remain matter.
    var count: Int
    var position: Int
    var isAtLow: Bool
    var isAtHigh: Bool
    var remainder: Int
  }

  /// The most digits behind the point.
  private(set) var fraction: Int
  private(set) var multiple = 1

  private static let largestMultiple = 1000
  private static let digits = 18

  init(fraction: Int) { self.fraction = fraction }

  /// - Throws: `ConstraintError` unless it is an integer of up to 1000 or a power of ten.
  mutating func keep(_ value: Decimal, _ pointer: String) throws(ConstraintError) {
    if let small = value.smallInteger, (1...Self.largestMultiple).contains(small) {
      (multiple, fraction) = (small, 0)
    } else if value.integer.isEmpty, value.fraction.last == 1, value.fraction.dropLast().allSatisfy({ $0 == 0 }) {
      fraction = min(fraction, value.fraction.count)
    } else {
      throw ConstraintError(
        pointer, "multipleOf",
        "is supported for integers from 1 to \(Self.largestMultiple) and for 0.1, 0.01 and so on only")
    }
  }

  func add(
    to builder: inout GrammarBuilder, from source: Int32, to target: Int32, low: NumberRange.Bound,
    high: NumberRange.Bound?
  ) throws(ConstraintError) {
    let most = min(Self.digits, max(1, high?.value.integer.count ?? Self.digits))
    let least = max(1, low.value.integer.count)
    guard least <= most else { return }
    var walk = Walk(digits: self, low: low, high: high, target: target)
    for count in least...most {
      let start = try walk.state(
        Place(
          count: count, position: 0, isAtLow: max(1, low.value.integer.count) == count,
          isAtHigh: high.map { max(1, $0.value.integer.count) == count } ?? false, remainder: 0), &builder)
      builder.epsilon(source, start)
    }
    try walk.finish(&builder)
  }

  private struct Walk {
    let digits: BoundedDigits
    let low: NumberRange.Bound
    let high: NumberRange.Bound?
    let target: Int32
    var known: [Place: Int32] = [:]
    var open: [(Place, Int32)] = []

    mutating func state(_ place: Place, _ builder: inout GrammarBuilder) throws(ConstraintError) -> Int32 {
      var place = place
      // What is between the bounds for good differs only by what remains; the first digit must not be a zero.
      if !place.isAtLow, !place.isAtHigh, place.position > 0, digits.fraction == 0 {
        (place.count, place.position) = (-1, place.count - place.position)
      }
      if let state = known[place] { return state }
      let state = try builder.state()
      known[place] = state
      open.append((place, state))
      return state
    }

    mutating func finish(_ builder: inout GrammarBuilder) throws(ConstraintError) {
      while let (place, state) = open.popLast() { try expand(place, state, &builder) }
    }

    private mutating func expand(
      _ place: Place, _ state: Int32, _ builder: inout GrammarBuilder
    ) throws(ConstraintError) {
      if place.count < 0 {
        if place.position == 0 { return end(place, state, fractionDigits: 0, &builder) }
        return try step(place, state, place.position - 1, [0, 9], &builder)
      }
      let fractionDigits = place.position - place.count
      if fractionDigits < 0 {
        let isFirst = place.position == 0 && place.count > 1
        return try step(place, state, place.position + 1, [isFirst ? 1 : 0, 9], &builder)
      }
      // Behind the point there is a digit at least.
      if fractionDigits != 1 { end(place, state, fractionDigits: fractionDigits, &builder) }
      let most = min(digits.fraction, 15 - place.count)
      guard fractionDigits <= most, most > 0 else { return }
      if fractionDigits == 0 {
        // The place behind the point counts as one more.
        var next = place
        next.position += 1
        let point = try self.state(next, &builder)
        return builder.edge(state, UInt8(ascii: "."), point)
      }
      try step(place, state, place.position + 1, [0, 9], &builder)
    }

    /// All next digits within the bounds.
    private mutating func step(
      _ place: Place, _ state: Int32, _ position: Int, _ range: [Int], _ builder: inout GrammarBuilder
    ) throws(ConstraintError) {
      let least = place.isAtLow ? max(range[0], digit(of: low.value, place)) : range[0]
      let most = place.isAtHigh ? high.map { digit(of: $0.value, place) } ?? 9 : range[1]
      guard least <= most else { return }
      for digit in least...most {
        var next = place
        next.position = position
        next.isAtLow = place.isAtLow && digit == self.digit(of: low.value, place)
        next.isAtHigh = place.isAtHigh && digit == high.map { self.digit(of: $0.value, place) }
        next.remainder = (place.remainder * 10 + digit) % digits.multiple
        let target = next.count < 0 ? try self.state(known: next, &builder) : try self.state(next, &builder)
        builder.edge(state, UInt8(0x30 + digit), target)
      }
    }

    private mutating func state(known place: Place, _ builder: inout GrammarBuilder) throws(ConstraintError) -> Int32 {
      if let state = known[place] { return state }
      let state = try builder.state()
      known[place] = state
      open.append((place, state))
      return state
    }

    /// A bound's digit at a place.
    private func digit(of value: Decimal, _ place: Place) -> Int {
      if place.position < place.count {
        let index = place.position - (place.count - value.integer.count)
        return value.integer.indices.contains(index) ? Int(value.integer[index]) : 0
      }
      let index = place.position - place.count - 1
      return value.fraction.indices.contains(index) ? Int(value.fraction[index]) : 0
    }

    /// The number may end here, if what the bounds have behind allows it.
    private func end(_ place: Place, _ state: Int32, fractionDigits: Int, _ builder: inout GrammarBuilder) {
      guard place.remainder == 0 else { return }
      let used = max(0, fractionDigits - 1)
      if place.isAtLow, low.value.fraction.count > used || low.isExclusive { return }
      if place.isAtHigh, let high, high.isExclusive, high.value.fraction.count <= used { return }
      builder.epsilon(state, target)
    }
  }
}
