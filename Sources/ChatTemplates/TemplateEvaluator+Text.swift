extension TemplateEvaluator {
  /// Python's `str`.
  func text(of value: TemplateValue) throws(TemplateError) -> MarkedText {
    switch value {
    case .undefined: return MarkedText()
    case .text(let text): return text
    default:
      var builder = TextBuilder()
      try writeRepresentation(value, to: &builder, depth: 0)
      return try finish(builder)
    }
  }

  /// Python's `repr`.
  func representation(of value: TemplateValue) throws(TemplateError) -> MarkedText {
    var builder = TextBuilder()
    try writeRepresentation(value, to: &builder, depth: 0)
    return try finish(builder)
  }

  /// Text that is put together of a value: all of it counts as content where some of the value does.
  struct TextBuilder {
    var units: [UInt32] = []
    var hasContent = false

    mutating func append(_ text: String) { for scalar in text.unicodeScalars { units.append(scalar.value) } }
    mutating func append(_ scalar: Unicode.Scalar) { units.append(scalar.value) }
  }

  func finish(_ builder: TextBuilder) throws(TemplateError) -> MarkedText {
    try charge(builder.units.count)
    let text = MarkedText(units: builder.units)
    return builder.hasContent ? text.marked(content: true) : text
  }

  private func writeRepresentation(
    _ value: TemplateValue, to builder: inout TextBuilder, depth: Int
  ) throws(TemplateError) {
    try step()
    try checkSize(builder)
    guard depth < Self.nestingLimit else { throw failure(.limit, "values nested too deep to be written") }
    switch value {
    case .undefined: builder.append("Undefined")
    case .none: builder.append("None")
    case .bool(let value): builder.append(value ? "True" : "False")
    case .integer(let value): builder.append(String(value))
    case .float(let value): builder.append(NumberText.shortest(value))
    case .text(let text):
      if text.isMarkup { builder.append("Markup(") }
      writeQuoted(text, to: &builder)
      if text.isMarkup { builder.append(")") }
    case .sequence(let elements, let kind):
      switch kind {
      case .generator: builder.append("<generator object>")
      case .range: builder.append(Self.rangeText(elements))
      case .list, .tuple, .keys, .values, .items:
        let isTuple = kind == .tuple
        if !isTuple, kind != .list { builder.append(kind.rawValue + "(") }
        builder.append(isTuple ? "(" : "[")
        for (index, element) in elements.enumerated() {
          if index > 0 { builder.append(", ") }
          try writeRepresentation(element, to: &builder, depth: depth + 1)
        }
        if isTuple, elements.count == 1 { builder.append(",") }
        builder.append(isTuple ? ")" : "]")
        if !isTuple, kind != .list { builder.append(")") }
      }
    case .dictionary(let members): try writeMembers(members, to: &builder, depth: depth)
    case .namespace(let namespace):
      builder.append("<Namespace ")
      try writeMembers(namespace.members, to: &builder, depth: depth)
      builder.append(">")
    case .loop(let loop): builder.append("<LoopContext \(loop.index + 1)/\(loop.elements.count)>")
    case .callable(.macro(let definition, _)): builder.append("<Macro '\(definition.name)'>")
    case .callable(let callable): builder.append("<\(callable.typeName)>")
    }
  }

  private func writeMembers(
    _ members: TemplateDictionary, to builder: inout TextBuilder, depth: Int
  ) throws(TemplateError) {
    builder.append("{")
    for (index, key) in members.keys.enumerated() {
      if index > 0 { builder.append(", ") }
      try writeRepresentation(key, to: &builder, depth: depth + 1)
      builder.append(": ")
      try writeRepresentation(members.values[index], to: &builder, depth: depth + 1)
    }
    builder.append("}")
  }

  private static func rangeText(_ elements: [TemplateValue]) -> String {
    let numbers = elements.compactMap(\.asInteger)
    guard let first = numbers.first, let last = numbers.last else { return "range(0, 0)" }
    let step = numbers.count > 1 ? numbers[1] - first : 1
    let end = last + (step > 0 ? 1 : -1)
    return step == 1 ? "range(\(first), \(end))" : "range(\(first), \(end), \(step))"
  }

  func checkSize(_ builder: TextBuilder) throws(TemplateError) {
    guard builder.units.count <= allocationLeft else { throw allocationFailure }
  }

  private func writeQuoted(_ text: MarkedText, to builder: inout TextBuilder) {
    let scalars = text.scalars
    let quote = UInt32(ascii: scalars.contains(0x27) && !scalars.contains(0x22) ? "\"" : "'")
    builder.hasContent = builder.hasContent || text.hasContent
    builder.units.append(quote)
    for scalar in scalars {
      switch scalar {
      case quote, 0x5c: builder.units += [0x5c, scalar]
      case 0x0a: builder.append("\\n")
      case 0x0d: builder.append("\\r")
      case 0x09: builder.append("\\t")
      default:
        if PythonScalars.isPrintable(scalar) {
          builder.units.append(scalar)
        } else {
          builder.append(Self.escape(scalar, short: true))
        }
      }
    }
    builder.units.append(quote)
  }

  /// A scalar as `\x07`, `\u200b` or `\U000e0001`.
  static func escape(_ scalar: UInt32, short: Bool) -> String {
    let digits = String(scalar, radix: 16)
    let width = short && scalar < 0x100 ? 2 : scalar < 0x10000 ? 4 : 8
    let letter = width == 2 ? "x" : width == 4 ? "u" : "U"
    return "\\" + letter + String(repeating: "0", count: width - digits.count) + digits
  }
}
