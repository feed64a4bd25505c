extension TemplateEvaluator {
  /// Python's `str.format` as far as a sandbox has it: fields by number or name with attributes and items, `!s` and
  /// `!r`, and the usual specifications; a field inside a specification is an error.
  func braceFormat(_ format: MarkedText, _ arguments: TemplateArguments) throws(TemplateError) -> MarkedText {
    var units: [UInt32] = []
    var position = 0
    var automatic = 0
    while position < format.count {
      let unit = format[position]
      guard unit == UInt32(ascii: "{") || unit == UInt32(ascii: "}") else {
        units.append(format.units[position])
        position += 1
        continue
      }
      if position + 1 < format.count, format[position + 1] == unit {
        units.append(format.units[position])
        position += 2
        continue
      }
      guard unit == UInt32(ascii: "{") else { throw failure(.type, "Single '}' encountered in format string") }
      guard let end = (position..<format.count).first(where: { format[$0] == UInt32(ascii: "}") }) else {
        throw failure(.type, "expected '}' before end of string")
      }
      let field = format.slice(position + 1..<end)
      guard !field.contains("{") else { throw failure(.type, "fields inside format specifications are not supported") }
      var text = try formatted(field, arguments, &automatic)
      if format.isMarkup { text = text.escaped }
      try charge(text.count)
      units += text.units
      position = end + 1
    }
    try charge(units.count)
    return MarkedText(units: units, isMarkup: format.isMarkup)
  }

  private func formatted(
    _ field: MarkedText, _ arguments: TemplateArguments, _ automatic: inout Int
  ) throws(TemplateError) -> MarkedText {
    let all = 0..<field.count
    let colon = field.firstIndex(of: ":", in: all) ?? field.count
    let mark = field.firstIndex(of: "!", in: 0..<colon)
    let path = field.slice(0..<(mark ?? colon))
    var value = try self.value(at: path, arguments, &automatic)
    if let mark {
      switch field.slice(mark + 1..<colon).string {
      case "s": value = .text(try text(of: value))
      case "r", "a": value = .text(try representation(of: value))
      default: throw failure(.type, "unknown conversion in format string")
      }
    }
    let specification = colon < field.count ? field.slice(colon + 1..<field.count) : MarkedText()
    return try formatted(value, specification)
  }

  private func value(
    at path: MarkedText, _ arguments: TemplateArguments, _ automatic: inout Int
  ) throws(TemplateError) -> TemplateValue {
    let end = path.units.firstIndex { [0x2e, 0x5b].contains($0 & MarkedText.scalarMask) } ?? path.count
    let first = path.slice(0..<end).string
    var value: TemplateValue
    if first.isEmpty || Int(first) != nil {
      let index = Int(first) ?? automatic
      automatic += first.isEmpty ? 1 : 0
      guard arguments.positional.indices.contains(index) else {
        throw failure(.type, "replacement index \(index) out of range for positional args")
      }
      value = arguments.positional[index]
    } else {
      guard let keyword = arguments.keywords.first(where: { $0.name == first }) else {
        throw failure(.type, "no value for '\(first)'")
      }
      value = keyword.value
    }
    var position = end
    while position < path.count {
      let isItem = path[position] == UInt32(ascii: "[")
      let next = path.units[(position + 1)...].firstIndex { unit in
        let scalar = unit & MarkedText.scalarMask
        return isItem ? scalar == 0x5d : scalar == 0x2e || scalar == 0x5b
      }
      guard !isItem || next != nil else { throw failure(.type, "missing ']' in format string") }
      let name = path.slice(position + 1..<(next ?? path.count))
      value =
        isItem
        ? try item(Int(name.string).map { .integer($0) } ?? .text(name), of: value) : try attribute(name, of: value)
      position = isItem ? (next ?? path.count) + 1 : next ?? path.count
    }
    return value
  }

  private func formatted(_ value: TemplateValue, _ text: MarkedText) throws(TemplateError) -> MarkedText {
    if text.isEmpty { return try self.text(of: value) }
    guard var specification = Self.specification(text) else {
      throw failure(.type, "invalid format specifier '\(text.string)'")
    }
    specification.width = min(specification.width, 1 << 40)
    let letter = Unicode.Scalar(specification.type) ?? " "
    switch value {
    case .text(let text):
      guard specification.type == 0 || letter == "s" else {
        throw failure(.type, "unknown format code '\(letter)' for object of type 'str'")
      }
      let cut = specification.precision.map { text.slice(0..<min($0, text.count)) } ?? text
      return try aligned(cut, specification, defaultAlignment: "<")
    case .integer, .bool, .float:
      if let number = value.asInteger, "\0dxXobcn".unicodeScalars.contains(Unicode.Scalar(specification.type) ?? " ") {
        if letter == "c" {
          return try aligned(
            MarkedText(units: [UInt32(clamping: number) % 0xd800]), specification, defaultAlignment: "<")
        }
        let radix = letter == "x" || letter == "X" ? 16 : letter == "o" ? 8 : letter == "b" ? 2 : 10
        return try integerText(number, radix: radix, isUppercase: letter == "X", specification)
      }
      guard let number = value.asDouble, "\0eEfFgGn%".unicodeScalars.contains(Unicode.Scalar(specification.type) ?? " ")
      else { throw failure(.type, "unknown format code '\(letter)' for object of type '\(value.typeName)'") }
      if specification.type == 0, specification.precision == nil {
        return try aligned(MarkedText(NumberText.shortest(number)), specification, defaultAlignment: ">")
      }
      if letter == "%" {
        var plain = specification
        plain.width = 0
        var text = try floatText(number * 100, UInt32(ascii: "f"), plain)
        text.units.append(UInt32(ascii: "%"))
        return try aligned(text, specification, defaultAlignment: ">")
      }
      let type = specification.type == 0 || letter == "n" ? UInt32(ascii: "g") : specification.type
      return try floatText(number, type, specification)
    default:
      throw failure(.type, "unsupported format string passed to \(value.typeName).__format__")
    }
  }

  private static func specification(_ text: MarkedText) -> FormatSpecification? {
    var specification = FormatSpecification()
    let units = text.scalars
    var position = 0
    let unit = { (offset: Int) in offset < units.count ? Unicode.Scalar(units[offset]) : nil }
    let alignments: Set<Unicode.Scalar?> = ["<", ">", "^", "="]
    if units.count > 1, alignments.contains(unit(1)) {
      specification.fill = units[0]
      specification.alignment = units[1]
      position = 2
    } else if alignments.contains(unit(0)) {
      specification.alignment = units[0]
      position = 1
    }
    if ["+", "-", " "].contains(unit(position)) {
      specification.sign = units[position]
      position += 1
    }
    if unit(position) == "#" {
      specification.isAlternative = true
      position += 1
    }
    if unit(position) == "0" {
      specification.zeroPadded = true
      position += 1
    }
    let number = { () -> Int? in
      var value: Int?
      while position < units.count, (0x30...0x39).contains(units[position]) {
        value = min((value ?? 0) * 10 + Int(units[position] - 0x30), 1 << 40)
        position += 1
      }
      return value
    }
    specification.width = number() ?? 0
    if [",", "_"].contains(unit(position)) {
      specification.grouping = units[position]
      position += 1
    }
    if unit(position) == "." {
      position += 1
      guard let precision = number() else { return nil }
      specification.precision = precision
    }
    if position < units.count {
      specification.type = units[position]
      position += 1
    }
    return position == units.count ? specification : nil
  }
}
