import CLibrary

extension TemplateEvaluator {
  func applyNumberFilter(
    _ filter: TemplateFilter, to value: TemplateValue, _ arguments: TemplateArguments
  ) throws(TemplateError) -> TemplateValue {
    if case .undefined(let message) = value { throw failure(.undefined, message) }
    switch filter {
    case .abs:
      _ = try bind(arguments, [], of: "abs")
      if case .float(let number) = value { return .float(number.magnitude) }
      guard let number = value.asInteger else {
        throw failure(.type, "bad operand type for abs(): '\(value.typeName)'")
      }
      guard number != .min else { throw failure(.type, "a number too large for 64 bits") }
      return .integer(Swift.abs(number))
    case .float:
      let fallback = try bind(arguments, ["default"], of: "float")[0] ?? .float(0)
      if case .text(let text) = value { return Self.float(of: text).map { .float($0) } ?? fallback }
      return value.asDouble.map { .float($0) } ?? fallback
    case .int:
      let values = try bind(arguments, ["default", "base"], of: "int")
      return try integer(of: value, base: try integer(values[1], default: 10)) ?? values[0] ?? .integer(0)
    default: return try round(value, arguments)
    }
  }

  /// Python's `float` of a string.
  private static func float(of text: MarkedText) -> Double? {
    let text = text.stripped().string.lowercased()
    let unsigned = text.hasPrefix("-") || text.hasPrefix("+") ? text.dropFirst() : text[...]
    if ["inf", "infinity", "nan"].contains(unsigned) { return Double(text) }
    guard let first = unsigned.utf8.first, first == 0x2e || (0x30...0x39).contains(first),
      unsigned.utf8.allSatisfy({ (0x30...0x39).contains($0) || ".e+-_".utf8.contains($0) })
    else { return nil }
    guard let plain = withoutUnderscores(text) else { return nil }
    return Double(plain.hasSuffix(".") ? plain + "0" : plain)
  }

  /// Digits with single underscores between them lose these; nil where one stands elsewhere.
  private static func withoutUnderscores(_ text: String) -> String? {
    let bytes = Array(text.utf8)
    var kept: [UInt8] = []
    for (index, byte) in bytes.enumerated() {
      if byte != 0x5f {
        kept.append(byte)
      } else if index == 0 || index + 1 == bytes.count || bytes[index - 1] == 0x5f || bytes[index - 1] < 0x30
        || bytes[index + 1] < 0x30
      {
        return nil
      }
    }
    return String(decoding: kept, as: UTF8.self)
  }

  private func integer(of value: TemplateValue, base: Int) throws(TemplateError) -> TemplateValue? {
    if let number = value.asInteger { return .integer(number) }
    var number: Double?
    if case .text(let text) = value {
      guard base == 0 || (2...36).contains(base) else { return nil }
      if let integer = Self.integer(of: text, base: base) { return .integer(integer) }
      number = Self.float(of: text)
      if let value = number, value.isInfinite { return nil }
    } else {
      number = value.asDouble
    }
    guard let number, !number.isNaN else { return nil }
    guard number.isFinite else { throw failure(.type, "cannot convert float infinity to integer") }
    guard let integer = Int(exactly: number.rounded(.towardZero)) else {
      throw failure(.type, "a number too large for 64 bits")
    }
    return .integer(integer)
  }

  private static func integer(of text: MarkedText, base: Int) -> Int? {
    var digits = text.stripped().string.lowercased()
    var sign = ""
    if digits.hasPrefix("-") || digits.hasPrefix("+") { sign = String(digits.removeFirst()) }
    var base = base
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)]
    where digits.hasPrefix(prefix) && (base == radix || base == 0) {
      digits.removeFirst(2)
      if digits.hasPrefix("_") { digits.removeFirst() }
      base = radix
    }
    if base == 0 { base = 10 }
    guard let first = digits.utf8.first, first != 0x2d, first != 0x2b, let plain = withoutUnderscores(digits) else {
      return nil
    }
    return Int(sign + plain, radix: base)
  }

  private func round(_ value: TemplateValue, _ arguments: TemplateArguments) throws(TemplateError) -> TemplateValue {
    let values = try bind(arguments, ["precision", "method"], of: "round")
    let precision = try integer(values[0], default: 0)
    let method = try string(values[1], default: "common").string
    guard ["common", "ceil", "floor"].contains(method) else {
      throw failure(.type, "method must be common, ceil or floor")
    }
    guard let number = value.asDouble, Swift.abs(precision) <= 300 else {
      throw failure(.type, "type \(value.typeName) cannot be rounded, or not to this precision")
    }
    if method == "common" {
      guard let integer = value.asInteger else { return .float(NumberText.rounded(number, decimals: precision)) }
      if precision >= 0 { return .integer(integer) }
      guard precision >= -18 else { return .integer(0) }
      let power = (0..<(-precision)).reduce(UInt(1)) { product, _ in product * 10 }
      var (quotient, rest) = integer.magnitude.quotientAndRemainder(dividingBy: power)
      if rest > power / 2 || (rest == power / 2 && quotient % 2 != 0) { quotient += 1 }
      rest = quotient * power
      guard let magnitude = Int(exactly: rest) else { throw failure(.type, "a number too large for 64 bits") }
      return .integer(integer < 0 ? -magnitude : magnitude)
    }
    let scale = pow(10, Double(precision))
    let scaled = number * scale
    return .float((method == "ceil" ? scaled.rounded(.up) : scaled.rounded(.down)) / scale)
  }
}
