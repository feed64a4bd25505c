import CLibrary

/// Numbers as Python writes them.
enum NumberText {
  /// `repr` of a float: the fewest digits that read back, with an exponent below 1e-4 and from 1e16.
  static func shortest(_ value: Double) -> String {
    if value.isNaN { return "nan" }
    if value.isInfinite { return value < 0 ? "-inf" : "inf" }
    let sign = value.sign == .minus ? "-" : ""
    if value == 0 { return sign + "0.0" }
    let (digits, exponent) = decimal(value.magnitude)
    if exponent < -4 || exponent >= 16 {
      let fraction = digits.count > 1 ? "." + String(decoding: digits[1...], as: UTF8.self) : ""
      let power = abs(exponent) < 10 ? "0\(abs(exponent))" : "\(abs(exponent))"
      return sign + String(decoding: digits[..<1], as: UTF8.self) + fraction + "e" + (exponent < 0 ? "-" : "+") + power
    }
    let zero = UInt8(ascii: "0")
    if exponent < 0 {
      return sign + "0." + String(decoding: [UInt8](repeating: zero, count: -exponent - 1) + digits, as: UTF8.self)
    }
    let padded = digits + [UInt8](repeating: zero, count: max(0, exponent + 2 - digits.count))
    return sign + String(decoding: padded[...exponent], as: UTF8.self) + "."
      + String(decoding: padded[(exponent + 1)...], as: UTF8.self)
  }

  /// The fewest digits of a positive number, and the power of ten of the first.
  private static func decimal(_ value: Double) -> (digits: [UInt8], exponent: Int) {
    var digits: [UInt8] = []
    var point: Int?
    var exponent = 0
    let text = Array(value.description.utf8)
    for (index, byte) in text.enumerated() {
      switch byte {
      case UInt8(ascii: "."): point = digits.count
      case UInt8(ascii: "e"):
        exponent = Int(String(decoding: text[(index + 1)...], as: UTF8.self)) ?? 0
        let whole = point ?? digits.count
        return normalized(digits, exponent + whole - 1)
      default: digits.append(byte)
      }
    }
    return normalized(digits, (point ?? digits.count) - 1)
  }

  private static func normalized(_ digits: [UInt8], _ exponent: Int) -> (digits: [UInt8], exponent: Int) {
    let zero = UInt8(ascii: "0")
    let first = digits.firstIndex { $0 != zero } ?? 0
    let last = digits.lastIndex { $0 != zero } ?? 0
    return (Array(digits[first...last]), exponent - first)
  }

  /// A number by one of C's conversions `e`, `f`, `g`, with a precision of at most a few hundred.
  static func formatted(_ value: Double, conversion: Character, precision: Int, alternative: Bool = false) -> String {
    if !value.isFinite {
      let text = value.isNaN ? "nan" : value < 0 ? "-inf" : "inf"
      return conversion.isUppercase ? text.uppercased() : text
    }
    var bytes = [CChar](repeating: 0, count: 400 + precision)
    let format = "%" + (alternative ? "#" : "") + ".\(precision)" + String(conversion)
    let count = withVaList([value]) { vsnprintf(&bytes, bytes.count, format, $0) }
    return String(decoding: bytes[..<min(max(0, Int(count)), bytes.count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Python's `round` to some decimals, which rounds the number's exact value, halves to even.
  static func rounded(_ value: Double, decimals: Int) -> Double {
    guard value.isFinite, decimals <= 308 else { return value }
    if decimals >= 0 { return Double(formatted(value, conversion: "f", precision: decimals)) ?? value }
    guard decimals >= -308 else { return 0 }
    let power = pow(10, Double(-decimals))
    return (value / power).rounded(.toNearestOrEven) * power
  }
}
