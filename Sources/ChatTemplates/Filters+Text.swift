import ModelJSON

extension TemplateEvaluator {
  func applyTextFilter(
    _ filter: TemplateFilter, to value: TemplateValue, _ arguments: TemplateArguments
  ) throws(TemplateError) -> TemplateValue {
    switch filter {
    case .indent: return .text(try indent(value, arguments))
    case .truncate: return try truncate(value, arguments)
    case .format: return .text(try format(try text(of: value), arguments))
    default: break
    }
    let text = try text(of: value)
    try charge(text.count)
    switch filter {
    case .center:
      let width = try integer(bind(arguments, ["width"], of: "center")[0], default: 80)
      return .text(try pad(text, to: width, with: 0x20, .center))
    case .trim:
      return .text(try strip(text, try bind(arguments, ["chars"], of: "trim")[0] ?? .none))
    case .replace:
      let values = try bind(arguments, ["old", "new", "count"], required: 2, of: "replace")
      let old = try self.text(of: values[0] ?? .none)
      let new = try self.text(of: values[1] ?? .none)
      var limit = -1
      if let count = values[2] { if case .none = count {} else { limit = try integer(count, default: -1) } }
      return .text(try replace(text.plain, old, with: new, limit: limit))
    default: _ = try bind(arguments, [], of: filter.rawValue)
    }
    switch filter {
    case .capitalize: return .text(text.capitalized)
    case .lower: return .text(text.lowercased)
    case .upper: return .text(text.uppercased)
    case .title: return .text(text.titledByWords.plain)
    case .e, .escape, .forceescape:
      let escaped = filter == .forceescape ? text.plain.escaped : text.escaped
      try charge(escaped.count)
      return .text(escaped)
    case .safe: return .text(MarkedText(units: text.units, isMarkup: true))
    case .wordcount: return .integer(Self.wordCount(text))
    default: return .text(text)
    }
  }

  private static func wordCount(_ text: MarkedText) -> Int {
    var count = 0
    var isInWord = false
    for unit in text.units {
      let isWord = PythonScalars.isWord(unit)
      if isWord, !isInWord { count += 1 }
      isInWord = isWord
    }
    return count
  }

  private func indent(_ value: TemplateValue, _ arguments: TemplateArguments) throws(TemplateError) -> MarkedText {
    let values = try bind(arguments, ["width", "first", "blank"], of: "indent")
    let text = try string(value)
    var margin = MarkedText()
    if case .text(let given)? = values[0] {
      margin = given
    } else {
      let width = max(0, try integer(values[0], default: 4))
      try charge(width)
      margin = MarkedText(units: [UInt32](repeating: 0x20, count: width))
    }
    if text.isMarkup { margin = margin.escaped }
    let indentsBlank = values[2]?.isTrue ?? false
    let lines = MarkedText(units: text.units + [0x0a]).lines()
    try charge(text.count + lines.count)
    try charge(margin.count, times: lines.count + 1)
    var units: [UInt32] = values[1]?.isTrue ?? false ? margin.units : []
    for (index, line) in lines.enumerated() {
      if index > 0 {
        units.append(0x0a)
        if indentsBlank || !line.isEmpty { units += margin.units }
      }
      units += line.units
    }
    return MarkedText(units: units, isMarkup: text.isMarkup)
  }

  private func truncate(_ value: TemplateValue, _ arguments: TemplateArguments) throws(TemplateError) -> TemplateValue {
    let values = try bind(arguments, ["length", "killwords", "end", "leeway"], of: "truncate")
    let length = try integer(values[0], default: 255)
    let end = try string(values[2], default: "...")
    let leeway = try integer(values[3], default: 5)
    guard length >= end.count, leeway >= 0 else {
      throw failure(.type, "truncate: a length below that of its end, or a negative leeway")
    }
    let (limit, overflow) = length.addingReportingOverflow(leeway)
    // What is short enough stays what it is, text or not.
    let count = try self.length(of: value)
    if overflow || count <= limit { return value }
    let text = try string(value)
    var kept = text.slice(0..<length - end.count)
    if !(values[1]?.isTrue ?? false) { kept = kept.splitFromEnd(at: " ", limit: 1)[0] }
    return .text(try joined(kept, end))
  }

  private func format(_ text: MarkedText, _ arguments: TemplateArguments) throws(TemplateError) -> MarkedText {
    guard arguments.positional.isEmpty || arguments.keywords.isEmpty else {
      throw failure(.type, "can't handle positional and keyword arguments at the same time")
    }
    if arguments.keywords.isEmpty { return try percentFormat(text, .tuple(arguments.positional)) }
    var members = TemplateDictionary()
    for (name, value) in arguments.keywords { members.set(name, to: value) }
    return try percentFormat(text, .dictionary(members))
  }

  /// A text of JSON as a value: what llama.cpp's templates may ask for.
  func fromJSON(_ value: TemplateValue, _ arguments: TemplateArguments) throws(TemplateError) -> TemplateValue {
    _ = try bind(arguments, [], of: "from_json")
    let text = try string(value)
    try charge(8 * text.count)
    do {
      return TemplateValue(try JSONValue(parsing: text.string), isContent: text.hasContent)
    } catch {
      throw failure(.type, "from_json: \(error.description)")
    }
  }
}
