extension JSONParser {
  /// Reads a number: an integer where it is written as one and fits, otherwise the nearest double.
  mutating func number() throws(JSONError) -> JSONValue {
    let start = position
    let negative = current == UInt8(ascii: "-")
    if negative { position += 1 }
    let whole = position
    // The significant digits as one integer while they fit 19 digits, and the power of ten that they are scaled by.
    var digits: UInt64 = 0
    var significant = 0
    var exponent = 0
    var isInteger = true
    while let digit = digit() {
      accumulate(digit, &digits, &significant)
      position += 1
    }
    guard position > whole, bytes[whole] != UInt8(ascii: "0") || position == whole + 1 else {
      throw failure(.badNumber, at: start)
    }
    if current == UInt8(ascii: ".") {
      isInteger = false
      position += 1
      let fraction = position
      while let digit = digit() {
        accumulate(digit, &digits, &significant)
        position += 1
      }
      guard position > fraction else { throw failure(.badNumber, at: start) }
      exponent = fraction - position
    }
    if current | 0x20 == UInt8(ascii: "e") {
      isInteger = false
      exponent += try explicitExponent(of: start)
    }
    if isInteger, let value = Self.integer(digits, significant, negative) { return .integer(value) }
    if significant <= 15, digits > 0, abs(exponent) <= 22 {
      // Both operands are exact doubles, so one correctly rounded operation gives the nearest double.
      let power = Self.powersOfTen[abs(exponent)]
      let magnitude = exponent < 0 ? Double(digits) / power : Double(digits) * power
      return .number(negative ? -magnitude : magnitude)
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    guard let value = Double(text) else { throw failure(.badNumber, at: start) }
    guard value.isFinite else { throw failure(.numberOutOfRange, at: start) }
    return .number(value)
  }

  @inline(__always) private func digit() -> UInt8? {
    let value = current &- UInt8(ascii: "0")
    return value < 10 ? value : nil
  }

  @inline(__always) private func accumulate(_ digit: UInt8, _ digits: inout UInt64, _ significant: inout Int) {
    if significant < 19 { digits = digits * 10 + UInt64(digit) }
    if significant > 0 || digit > 0 { significant += 1 }
  }

  /// Reads `e`, a sign, digits; a value beyond a million is as good as a million.
  private mutating func explicitExponent(of start: Int) throws(JSONError) -> Int {
    position += 1
    let negative = current == UInt8(ascii: "-")
    if negative || current == UInt8(ascii: "+") { position += 1 }
    let first = position
    var value = 0
    while let digit = digit() {
      value = min(value * 10 + Int(digit), 1_000_000)
      position += 1
    }
    guard position > first else { throw failure(.badNumber, at: start) }
    return negative ? -value : value
  }

  private static func integer(_ digits: UInt64, _ significant: Int, _ negative: Bool) -> Int64? {
    guard significant <= 19 else { return nil }
    if !negative { return Int64(exactly: digits) }
    if digits == 0 { return nil }
    return digits <= UInt64(Int64.max) + 1 ? Int64(truncatingIfNeeded: 0 &- digits) : nil
  }

  private static let powersOfTen: [Double] = [
    1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
  ]
}
