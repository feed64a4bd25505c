extension TemplateLexer {
  /// One token inside a tag.
  mutating func readToken() throws(TemplateError) {
    let start = position
    let first = source[start]
    if (0x30...0x39).contains(first) { return try readNumber() }
    if first == UInt32(ascii: "'") || first == UInt32(ascii: "\"") { return try readString(quote: first) }
    if PythonScalars.isWord(first) || PythonScalars.isIdentifierPart(first) {
      while position < source.count,
        PythonScalars.isWord(source[position]) || PythonScalars.isIdentifierPart(source[position])
      {
        position += 1
      }
      guard PythonScalars.isIdentifierStart(first) else {
        throw failure("a name cannot begin with '\(MarkedText.string(source[start...start]))'", at: start)
      }
      return append(.name(MarkedText.string(source[start..<position])), at: start)
    }
    for mark in TemplateToken.Mark.allCases {
      let spelling = mark.rawValue.unicodeScalars
      guard source[start...].starts(with: spelling.lazy.map(\.value)) else { continue }
      position += spelling.count
      try balance(mark, at: start)
      return append(.mark(mark), at: start)
    }
    throw failure("unexpected character '\(MarkedText.string(source[start...start]))'", at: start)
  }

  private mutating func append(_ kind: TemplateToken.Kind, at offset: Int) {
    tokens.append(TemplateToken(kind: kind, offset: offset))
  }

  private mutating func balance(_ mark: TemplateToken.Mark, at offset: Int) throws(TemplateError) {
    switch mark {
    case .leftBrace: brackets.append((.rightBrace, offset))
    case .leftParenthesis: brackets.append((.rightParenthesis, offset))
    case .leftBracket: brackets.append((.rightBracket, offset))
    case .rightBrace, .rightParenthesis, .rightBracket:
      guard let open = brackets.popLast() else { throw failure("unexpected '\(mark.rawValue)'", at: offset) }
      guard open.close == mark else {
        throw failure("unexpected '\(mark.rawValue)', expected '\(open.close.rawValue)'", at: offset)
      }
    default: break
    }
  }

  /// Digits with single underscores between them; true where there is at least one.
  private func digits(from offset: Int, _ isDigit: (UInt32) -> Bool) -> Int {
    var end = offset
    while true {
      if isDigit(unit(end)) {
        end += 1
      } else if end > offset, unit(end) == UInt32(ascii: "_"), isDigit(unit(end + 1)) {
        end += 2
      } else {
        return end
      }
    }
  }

  private mutating func readNumber() throws(TemplateError) {
    let start = position
    let isDecimal = { (unit: UInt32) in (0x30...0x39).contains(unit) }
    let whole = digits(from: start, isDecimal)
    var end = whole
    var isFloat = false
    if unit(end) == UInt32(ascii: "."), isDecimal(unit(end + 1)) {
      end = digits(from: end + 1, isDecimal)
      isFloat = true
    }
    if unit(end) | 0x20 == UInt32(ascii: "e") {
      let sign = unit(end + 1)
      let exponent = end + (sign == UInt32(ascii: "+") || sign == UInt32(ascii: "-") ? 2 : 1)
      if isDecimal(unit(exponent)) {
        end = digits(from: exponent, isDecimal)
        isFloat = true
      }
    }
    // A number after a dot is an index: x.1.2 has no fraction in it.
    if isFloat, start > 0, source[start - 1] == UInt32(ascii: ".") {
      isFloat = false
      end = whole
    }
    if isFloat {
      position = end
      let text = MarkedText.string(source[start..<end].filter { $0 != UInt32(ascii: "_") }[...])
      guard let value = Double(text) else { throw failure("malformed number", at: start) }
      return append(.float(value), at: start)
    }
    try readInteger(decimalEnd: whole)
  }

  private mutating func readInteger(decimalEnd: Int) throws(TemplateError) {
    let start = position
    var radix = 10
    var first = start
    var end = decimalEnd
    if unit(start) == UInt32(ascii: "0") {
      let prefixes: [(Unicode.Scalar, Int, (UInt32) -> Bool)] = [
        ("x", 16, { (0x30...0x39).contains($0) || (0x61...0x66).contains($0 | 0x20) }),
        ("o", 8, { (0x30...0x37).contains($0) }), ("b", 2, { (0x30...0x31).contains($0) }),
      ]
      var isPrefixed = false
      for (letter, base, isDigit) in prefixes where unit(start + 1) | 0x20 == letter.value && isDigit(unit(start + 2)) {
        radix = base
        first = start + 2
        end = digits(from: first, isDigit)
        isPrefixed = true
      }
      if !isPrefixed { end = digits(from: start) { $0 == 0x30 } }
    }
    position = end
    let text = MarkedText.string(source[first..<end].filter { $0 != UInt32(ascii: "_") }[...])
    guard let value = Int(text, radix: radix) else {
      throw failure("the number is too large for 64 bits", at: start)
    }
    append(.integer(value), at: start)
  }

  private mutating func readString(quote: UInt32) throws(TemplateError) {
    let start = position
    var units: [UInt32] = []
    position += 1
    while position < source.count, source[position] != quote {
      if source[position] == UInt32(ascii: "\\") {
        try readEscape(to: &units)
      } else {
        units.append(source[position])
        position += 1
      }
    }
    guard position < source.count else { throw failure("the string has no end", at: start) }
    position += 1
    append(.string(MarkedText(units: units)), at: start)
  }

  /// An escape of a Python string; one that Python does not know stays as it is.
  private mutating func readEscape(to units: inout [UInt32]) throws(TemplateError) {
    let start = position
    let letter = unit(position + 1)
    position += 2
    switch Unicode.Scalar(letter) {
    case "\n": break
    case "\\", "'", "\"": units.append(letter)
    case "n": units.append(0x0a)
    case "t": units.append(0x09)
    case "r": units.append(0x0d)
    case "a": units.append(0x07)
    case "b": units.append(0x08)
    case "f": units.append(0x0c)
    case "v": units.append(0x0b)
    case "x": units.append(try hexadecimal(2, at: start))
    case "u": units.append(try hexadecimal(4, at: start))
    case "U": units.append(try hexadecimal(8, at: start))
    case "N": throw failure("characters by name are not supported in strings", at: start)
    case "0", "1", "2", "3", "4", "5", "6", "7":
      var value = letter - 0x30
      var count = 1
      while count < 3, (0x30...0x37).contains(unit(position)) {
        value = value * 8 + unit(position) - 0x30
        position += 1
        count += 1
      }
      units.append(value)
    default: units += [UInt32(ascii: "\\"), letter]
    }
  }

  private mutating func hexadecimal(_ count: Int, at start: Int) throws(TemplateError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<count {
      guard let scalar = Unicode.Scalar(unit(position)), let digit = Character(scalar).hexDigitValue, scalar.isASCII
      else { throw failure("an escape in a string lacks digits", at: start) }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    guard Unicode.Scalar(value) != nil else { throw failure("an escape in a string is no character", at: start) }
    return value
  }
}
