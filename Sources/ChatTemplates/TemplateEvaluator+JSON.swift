import ModelJSON

extension TemplateEvaluator {
  /// How `tojson` writes, as `json.dumps` is told.
  struct JSONStyle {
    var isASCII = false
    /// What one level is indented by; nil writes everything on one line.
    var indent: MarkedText?
    var itemSeparator: MarkedText
    var keySeparator: MarkedText
    var sortsKeys = false
  }

  /// Python's `json.dumps`, which transformers' `tojson` is: nothing escaped for HTML, members in their order.
  func json(of value: TemplateValue, style: JSONStyle) throws(TemplateError) -> MarkedText {
    var builder = TextBuilder()
    try writeJSON(value, style, to: &builder, depth: 0)
    return try finish(builder)
  }

  private func writeJSON(
    _ value: TemplateValue, _ style: JSONStyle, to builder: inout TextBuilder, depth: Int
  ) throws(TemplateError) {
    try step()
    try checkSize(builder)
    guard depth < Self.nestingLimit else { throw failure(.limit, "values nested too deep for JSON") }
    switch value {
    case .none: builder.append("null")
    case .bool(let value): builder.append(value ? "true" : "false")
    case .integer(let value): builder.append(String(value))
    case .float(let value): builder.append(Self.jsonNumber(value))
    case .text(let text): writeJSON(text, style, to: &builder)
    case .sequence(let elements, .list), .sequence(let elements, .tuple):
      builder.append("[")
      for (index, element) in elements.enumerated() {
        if index > 0 { builder.units += style.itemSeparator.units }
        try writeIndent(style, to: &builder, depth: depth + 1)
        try writeJSON(element, style, to: &builder, depth: depth + 1)
      }
      if !elements.isEmpty { try writeIndent(style, to: &builder, depth: depth) }
      builder.append("]")
    case .dictionary(let members):
      builder.append("{")
      let order = style.sortsKeys ? try sortedPositions(of: members) : Array(members.keys.indices)
      for (place, index) in order.enumerated() {
        if place > 0 { builder.units += style.itemSeparator.units }
        try writeIndent(style, to: &builder, depth: depth + 1)
        writeJSON(try jsonKey(members.keys[index]), style, to: &builder)
        builder.units += style.keySeparator.units
        try writeJSON(members.values[index], style, to: &builder, depth: depth + 1)
      }
      if members.count > 0 { try writeIndent(style, to: &builder, depth: depth) }
      builder.append("}")
    default: throw failure(.type, "Object of type \(value.typeName) is not JSON serializable")
    }
  }

  private func sortedPositions(of members: TemplateDictionary) throws(TemplateError) -> [Int] {
    try sorted(Array(members.keys.indices), by: { members.keys[$0] })
  }

  private func jsonKey(_ key: TemplateValue) throws(TemplateError) -> MarkedText {
    switch key {
    case .text(let text): return text
    case .none: return "null"
    case .bool(let value): return value ? "true" : "false"
    case .integer(let value): return MarkedText(String(value))
    case .float(let value): return MarkedText(Self.jsonNumber(value))
    default: throw failure(.type, "keys must be str, int, float, bool or None, not \(key.typeName)")
    }
  }

  private static func jsonNumber(_ value: Double) -> String {
    value.isNaN ? "NaN" : value.isInfinite ? (value < 0 ? "-Infinity" : "Infinity") : NumberText.shortest(value)
  }

  private func writeIndent(_ style: JSONStyle, to builder: inout TextBuilder, depth: Int) throws(TemplateError) {
    guard let indent = style.indent else { return }
    builder.append("\n")
    for _ in 0..<depth {
      guard builder.units.count + indent.count <= allocationLeft else { throw allocationFailure }
      builder.units += indent.units
    }
  }

  private func writeJSON(_ text: MarkedText, _ style: JSONStyle, to builder: inout TextBuilder) {
    builder.hasContent = builder.hasContent || text.hasContent
    builder.append("\"")
    for scalar in text.scalars {
      switch scalar {
      case 0x22, 0x5c: builder.units += [0x5c, scalar]
      case 0x0a: builder.append("\\n")
      case 0x0d: builder.append("\\r")
      case 0x09: builder.append("\\t")
      case 0x08: builder.append("\\b")
      case 0x0c: builder.append("\\f")
      case 0..<0x20: builder.append(Self.escape(scalar, short: false))
      case 0x7f... where style.isASCII && scalar > 0x7f:
        if scalar >= 0x10000 {
          builder.append(Self.escape(0xd800 + (scalar - 0x10000) >> 10, short: false))
          builder.append(Self.escape(0xdc00 + (scalar - 0x10000) & 0x3ff, short: false))
        } else {
          builder.append(Self.escape(scalar, short: false))
        }
      default: builder.units.append(scalar)
      }
    }
    builder.append("\"")
  }
}

extension TemplateValue {
  /// A JSON value as `json.loads` gives it; strings count as content, or as the template's own.
  init(_ value: JSONValue, isContent: Bool = true) {
    let text = { (string: String) in isContent ? MarkedText(content: string) : MarkedText(string) }
    switch value {
    case .null: self = .none
    case .bool(let value): self = .bool(value)
    case .integer(let value): self = .integer(Int(value))
    case .number(let value): self = .float(value)
    case .string(let string): self = .text(text(string))
    case .array(let elements): self = .list(elements.map { TemplateValue($0, isContent: isContent) })
    case .object(let members):
      var dictionary = TemplateDictionary()
      for (key, value) in members {
        dictionary.set(.text(text(key)), to: TemplateValue(value, isContent: isContent))
      }
      self = .dictionary(dictionary)
    }
  }

  /// Scalars and elements, which the limit of what may be made grows with.
  var size: Int {
    switch self {
    case .text(let text): text.count + 1
    case .sequence(let elements, _): elements.reduce(1) { $0 + $1.size }
    case .dictionary(let members): zip(members.keys, members.values).reduce(1) { $0 + $1.0.size + $1.1.size }
    default: 1
    }
  }
}
