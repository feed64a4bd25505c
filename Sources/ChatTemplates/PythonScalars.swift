/// What Python's `str` says of single scalars.
enum PythonScalars {
  /// `str.isspace`, which `strip` and a regular expression's `\s` follow.
  static func isSpace(_ unit: UInt32) -> Bool {
    switch unit & MarkedText.scalarMask {
    case 0x09...0x0d, 0x1c...0x20, 0x85, 0xa0, 0x1680, 0x2000...0x200a, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000: true
    default: false
    }
  }

  /// `str.splitlines`; a carriage return with a line feed is one break.
  static func isLineBreak(_ unit: UInt32) -> Bool {
    switch unit & MarkedText.scalarMask {
    case 0x0a...0x0d, 0x1c...0x1e, 0x85, 0x2028, 0x2029: true
    default: false
    }
  }

  private static func scalar(_ unit: UInt32) -> Unicode.Scalar {
    Unicode.Scalar(unit & MarkedText.scalarMask) ?? "\u{FFFD}"
  }

  static func isPrintable(_ unit: UInt32) -> Bool {
    let scalar = scalar(unit)
    if scalar.isASCII { return (0x20...0x7e).contains(scalar.value) }
    switch scalar.properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator, .spaceSeparator:
      return false
    default: return true
    }
  }

  static func isLetter(_ unit: UInt32) -> Bool {
    switch scalar(unit).properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
    default: false
    }
  }

  static func isDecimal(_ unit: UInt32) -> Bool { scalar(unit).properties.generalCategory == .decimalNumber }

  static func isDigit(_ unit: UInt32) -> Bool {
    let type = scalar(unit).properties.numericType
    return type == .decimal || type == .digit
  }

  static func isNumeric(_ unit: UInt32) -> Bool { scalar(unit).properties.numericType != nil }

  static func isAlphanumeric(_ unit: UInt32) -> Bool { isLetter(unit) || isNumeric(unit) }

  static func isUppercase(_ unit: UInt32) -> Bool { scalar(unit).properties.isUppercase }
  static func isLowercase(_ unit: UInt32) -> Bool { scalar(unit).properties.isLowercase }
  static func isTitlecase(_ unit: UInt32) -> Bool { scalar(unit).properties.generalCategory == .titlecaseLetter }

  static func isCased(_ unit: UInt32) -> Bool {
    isUppercase(unit) || isLowercase(unit) || isTitlecase(unit)
  }

  static func isIdentifierStart(_ unit: UInt32) -> Bool {
    unit == 0x5f || scalar(unit).properties.isXIDStart
  }

  static func isIdentifierPart(_ unit: UInt32) -> Bool { scalar(unit).properties.isXIDContinue }

  /// A regular expression's `\w`.
  static func isWord(_ unit: UInt32) -> Bool { unit & MarkedText.scalarMask == 0x5f || isAlphanumeric(unit) }

  static func append(_ mapping: String, of unit: UInt32, to units: inout [UInt32]) {
    for mapped in mapping.unicodeScalars { units.append(mapped.value | unit & MarkedText.contentBit) }
  }

  static func uppercase(_ unit: UInt32, to units: inout [UInt32]) {
    if unit & MarkedText.scalarMask < 0x80 {
      let isLower = (0x61...0x7a).contains(unit & MarkedText.scalarMask)
      return units.append(isLower ? unit - 0x20 : unit)
    }
    append(scalar(unit).properties.uppercaseMapping, of: unit, to: &units)
  }

  static func lowercase(_ unit: UInt32, to units: inout [UInt32]) {
    if unit & MarkedText.scalarMask < 0x80 {
      let isUpper = (0x41...0x5a).contains(unit & MarkedText.scalarMask)
      return units.append(isUpper ? unit + 0x20 : unit)
    }
    append(scalar(unit).properties.lowercaseMapping, of: unit, to: &units)
  }

  static func titlecase(_ unit: UInt32, to units: inout [UInt32]) {
    append(scalar(unit).properties.titlecaseMapping, of: unit, to: &units)
  }
}
