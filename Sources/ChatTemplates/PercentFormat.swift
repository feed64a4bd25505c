extension TemplateEvaluator {
  /// Python's `text % values`.
  func percentFormat(_ format: MarkedText, _ values: TemplateValue) throws(TemplateError) -> MarkedText {
    var positional: [TemplateValue] = [values]
    if case .sequence(let elements, .tuple) = values { positional = elements }
    var members: TemplateDictionary?
    if case .dictionary(let given) = values { members = given }
    var next = 0
    var usesNames = false
    var units: [UInt32] = []
    var position = 0
    while position < format.count {
      guard format[position] == UInt32(ascii: "%") else {
        units.append(format.units[position])
        position += 1
        continue
      }
      position += 1
      var specification = FormatSpecification()
      var name: MarkedText?
      if position < format.count, format[position] == UInt32(ascii: "(") {
        let end = try closing(format, from: position)
        name = format.slice(position + 1..<end)
        position = end + 1
      }
      let takeNext = { () throws(TemplateError) -> TemplateValue in
        guard next < positional.count else { throw self.failure(.type, "not enough arguments for format string") }
        next += 1
        return positional[next - 1]
      }
      position = try readPercent(format, at: position, &specification, takeNext)
      guard position < format.count else { throw failure(.type, "incomplete format") }
      let letter = format[position]
      position += 1
      if letter == UInt32(ascii: "%"), name == nil {
        units.append(letter)
        continue
      }
      var value: TemplateValue
      if let name {
        usesNames = true
        guard let members else { throw failure(.type, "format requires a mapping") }
        guard let member = members[name] else { throw failure(.type, "no value for '\(name.string)'") }
        value = member
      } else {
        value = try takeNext()
      }
      var text = try converted(value, letter, specification)
      if format.isMarkup { text = text.escaped }
      try charge(text.count)
      units += text.units
    }
    // Python looks for names in whatever has items, and so does not miss that nothing was made of it.
    var mayStay = members != nil || values.isUndefined
    if case .sequence(_, let kind) = values { mayStay = kind == .list || kind == .range }
    if !usesNames, !mayStay, next < positional.count {
      throw failure(.type, "not all arguments converted during string formatting")
    }
    try charge(units.count)
    return MarkedText(units: units, isMarkup: format.isMarkup)
  }

  private func closing(_ format: MarkedText, from start: Int) throws(TemplateError) -> Int {
    var depth = 0
    for index in start..<format.count {
      if format[index] == UInt32(ascii: "(") { depth += 1 }
      if format[index] == UInt32(ascii: ")") {
        depth -= 1
        if depth == 0 { return index }
      }
    }
    throw failure(.type, "incomplete format key")
  }

  /// Flags, width and precision of one conversion; returns where its letter stands.
  private func readPercent(
    _ format: MarkedText, at start: Int, _ specification: inout FormatSpecification,
    _ takeNext: () throws(TemplateError) -> TemplateValue
  ) throws(TemplateError) -> Int {
    var position = start
    let unit = { (position: Int) in position < format.count ? format[position] : 0 }
    flags: while true {
      switch Unicode.Scalar(unit(position)) {
      case "-": specification.alignment = UInt32(ascii: "<")
      case "+": specification.sign = UInt32(ascii: "+")
      case " ": if specification.sign != UInt32(ascii: "+") { specification.sign = UInt32(ascii: " ") }
      case "0": specification.zeroPadded = true
      case "#": specification.isAlternative = true
      default: break flags
      }
      position += 1
    }
    if unit(position) == UInt32(ascii: "*") {
      var width = try integer(try takeNext(), default: 0)
      if width < 0 {
        specification.alignment = UInt32(ascii: "<")
        width = width == .min ? .max : -width
      }
      specification.width = width
      position += 1
    } else {
      specification.width = try formatNumber(format, &position) ?? 0
    }
    if unit(position) == UInt32(ascii: ".") {
      position += 1
      if unit(position) == UInt32(ascii: "*") {
        specification.precision = max(0, try integer(try takeNext(), default: 0))
        position += 1
      } else {
        specification.precision = try formatNumber(format, &position) ?? 0
      }
    }
    while ["h", "l", "L"].contains(Unicode.Scalar(unit(position))) { position += 1 }
    return position
  }

  func formatNumber(_ format: MarkedText, _ position: inout Int) throws(TemplateError) -> Int? {
    var value: Int?
    while position < format.count, (0x30...0x39).contains(format[position]) {
      value = (value ?? 0) * 10 + Int(format[position] - 0x30)
      guard value! < 1 << 40 else { throw allocationFailure }
      position += 1
    }
    return value
  }

  private func converted(
    _ value: TemplateValue, _ letter: UInt32, _ specification: FormatSpecification
  ) throws(TemplateError) -> MarkedText {
    var specification = specification
    switch Unicode.Scalar(letter) {
    case "s", "r", "a":
      var text = letter == UInt32(ascii: "s") ? try self.text(of: value) : try representation(of: value)
      if let precision = specification.precision, precision < text.count { text = text.slice(0..<precision) }
      specification.zeroPadded = false
      return try aligned(text, specification, defaultAlignment: ">")
    case "c":
      if case .text(let text) = value, text.count == 1 {
        return try aligned(text, specification, defaultAlignment: ">")
      }
      guard let number = value.asInteger, let code = UInt32(exactly: number), Unicode.Scalar(code) != nil else {
        throw failure(.type, "%c requires int or char")
      }
      return try aligned(MarkedText(units: [code]), specification, defaultAlignment: ">")
    case "d", "i", "u", "x", "X", "o":
      var number = value.asInteger
      if number == nil, case .float(let float) = value, "diu".unicodeScalars.contains(Unicode.Scalar(letter) ?? " ") {
        number = Int(exactly: float.rounded(.towardZero))
      }
      if case .undefined(let message) = value { throw failure(.undefined, message) }
      guard let number else {
        throw failure(.type, "%d format: a real number is required, not \(value.typeName)")
      }
      let radix =
        "xX".unicodeScalars.contains(Unicode.Scalar(letter) ?? " ") ? 16 : letter == UInt32(ascii: "o") ? 8 : 10
      return try integerText(number, radix: radix, isUppercase: letter == UInt32(ascii: "X"), specification)
    case "e", "E", "f", "F", "g", "G":
      if case .undefined(let message) = value { throw failure(.undefined, message) }
      guard let number = value.asDouble else { throw failure(.type, "must be real number, not \(value.typeName)") }
      return try floatText(number, letter, specification)
    default:
      throw failure(.type, "unsupported format character '\(MarkedText.string([letter]))'")
    }
  }
}
