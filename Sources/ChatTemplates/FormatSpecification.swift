/// How `%` and `str.format` write one value.
struct FormatSpecification {
  var fill: UInt32 = 0x20
  /// `<`, `>`, `^` or `=`; 0 where none is given.
  var alignment: UInt32 = 0
  /// `+`, `-` or a space; 0 where none is given.
  var sign: UInt32 = 0
  var isAlternative = false
  var zeroPadded = false
  var width = 0
  /// `,` or `_` between groups of digits; 0 where none is given.
  var grouping: UInt32 = 0
  var precision: Int?
  /// The letter of a type; 0 where none is given.
  var type: UInt32 = 0
}

extension TemplateEvaluator {
  /// Text at its place in a field.
  func aligned(
    _ text: MarkedText, _ specification: FormatSpecification, defaultAlignment: Unicode.Scalar, signLength: Int = 0
  ) throws(TemplateError) -> MarkedText {
    guard specification.width > text.count else { return text }
    try charge(specification.width)
    let missing = specification.width - text.count
    var alignment = specification.alignment == 0 ? defaultAlignment.value : specification.alignment
    var fill = specification.fill
    if specification.zeroPadded, specification.alignment == 0 {
      alignment = UInt32(ascii: "=")
      fill = UInt32(ascii: "0")
    }
    let padding = { (count: Int) in [UInt32](repeating: fill, count: count) }
    switch Unicode.Scalar(alignment) {
    case "<": return MarkedText(units: text.units + padding(missing))
    case "^": return MarkedText(units: padding(missing / 2) + text.units + padding(missing - missing / 2))
    case "=": return MarkedText(units: text.units[..<signLength] + padding(missing) + text.units[signLength...])
    default: return MarkedText(units: padding(missing) + text.units)
    }
  }

  func integerText(
    _ number: Int, radix: Int, isUppercase: Bool, _ specification: FormatSpecification
  ) throws(TemplateError) -> MarkedText {
    var digits = String(number.magnitude, radix: radix, uppercase: isUppercase)
    if let precision = specification.precision, precision > digits.utf8.count {
      try charge(precision)
      digits = String(repeating: "0", count: precision - digits.utf8.count) + digits
    }
    let prefix = specification.isAlternative ? [16: isUppercase ? "0X" : "0x", 8: "0o", 2: "0b"][radix] ?? "" : ""
    return try signed(digits, prefix: prefix, isNegative: number < 0, specification, groupSize: radix == 10 ? 3 : 4)
  }

  func floatText(
    _ number: Double, _ letter: UInt32, _ specification: FormatSpecification
  ) throws(TemplateError) -> MarkedText {
    let precision = specification.precision ?? 6
    guard precision <= 10_000 else { throw failure(.type, "precision too big") }
    let letter = Character(Unicode.Scalar(letter) ?? "f")
    let digits = NumberText.formatted(
      number.magnitude, conversion: letter, precision: precision, alternative: specification.isAlternative)
    return try signed(
      digits, prefix: "", isNegative: number.sign == .minus && !number.isNaN, specification, groupSize: 3)
  }

  private func signed(
    _ digits: String, prefix: String, isNegative: Bool, _ specification: FormatSpecification, groupSize: Int
  ) throws(TemplateError) -> MarkedText {
    var sign = isNegative ? "-" : ""
    if !isNegative, specification.sign == UInt32(ascii: "+") { sign = "+" }
    if !isNegative, specification.sign == UInt32(ascii: " ") { sign = " " }
    var digits = digits
    if specification.grouping != 0 {
      let separator = specification.grouping == UInt32(ascii: ",") ? "," : "_"
      let whole = digits.prefix { $0.isHexDigit && $0 != "e" || groupSize == 4 }
      var grouped = ""
      for (index, digit) in whole.enumerated() {
        if index > 0, (whole.count - index) % groupSize == 0 { grouped += separator }
        grouped.append(digit)
      }
      digits = grouped + digits.dropFirst(whole.count)
    }
    let head = sign + prefix
    return try aligned(
      MarkedText(head + digits), specification, defaultAlignment: ">", signLength: head.utf8.count)
  }
}
