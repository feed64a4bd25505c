import ModelJSON

/// Makes a grammar of a JSON schema.
///
/// Objects write their members in the order of `properties`, those that are not required perhaps not at all, and other members behind
/// them only where `additionalProperties` asks for such. An object or array is compiled once for each place in the schema, so
/// recursion is a rule that calls itself.
struct SchemaCompiler {
  var builder = GrammarBuilder()
  var strings = StringRules()
  var resolver: SchemaResolver
  private var known: [String: Int32] = [:]
  /// Rules whose states are still to be made.
  private var open: [(rule: Int32, keywords: SchemaKeywords, kind: SchemaKinds)] = []

  init(_ schema: JSONValue) {
    resolver = SchemaResolver(SchemaDocument(schema))
  }

  /// Adds the document, between two states, to a grammar.
  mutating func compile(
    into grammar: inout GrammarBuilder, _ rules: inout StringRules, from source: Int32, to target: Int32
  ) throws(ConstraintError) {
    // Moved in and out, not copied.
    swap(&builder, &grammar)
    swap(&strings, &rules)
    defer {
      swap(&builder, &grammar)
      swap(&strings, &rules)
    }
    guard try value([resolver.document.root], from: source, to: target) else {
      throw ConstraintError("#", nil, "allows no value")
    }
    while let (rule, keywords, kind) = open.popLast() {
      builder.pointer = keywords.pointer
      if kind == .object { try object(keywords, rule) } else { try array(keywords, rule) }
    }
  }

  /// A value that all these schemas accept.
  ///
  /// - Returns: false where there is none, and nothing was added.
  mutating func value(
    _ parts: [SchemaPart], from source: Int32, to target: Int32
  ) throws(ConstraintError) -> Bool {
    let alternatives = try resolver.alternatives(of: parts)
    var isPossible = false
    for keywords in alternatives {
      builder.pointer = keywords.pointer
      if keywords.values != nil {
        isPossible = try listed(keywords, from: source, to: target) || isPossible
      } else {
        isPossible = try kinds(keywords, from: source, to: target) || isPossible
      }
    }
    return isPossible
  }

  private mutating func kinds(
    _ keywords: SchemaKeywords, from source: Int32, to target: Int32
  ) throws(ConstraintError) -> Bool {
    let kinds = keywords.possibleKinds
    if kinds.contains(.null) { try builder.text("null", from: source, to: target) }
    if kinds.contains(.boolean) {
      try builder.text("true", from: source, to: target)
      try builder.text("false", from: source, to: target)
    }
    if !kinds.intersection(.number).isEmpty {
      try builder.number(keywords.range, allowsFraction: kinds.contains(.fraction), keywords.pointer, source, target)
    }
    if kinds.contains(.string) {
      let rule = try strings.text(
        keywords.minimumLength, keywords.maximumLength, keywords.patterns, keywords.formats, keywords.pointer, &builder)
      builder.call(source, rule, target)
    }
    for kind in [SchemaKinds.array, .object] where kinds.contains(kind) {
      builder.call(source, try rule(for: keywords, kind), target)
    }
    return !kinds.isEmpty
  }

  private mutating func rule(for keywords: SchemaKeywords, _ kind: SchemaKinds) throws(ConstraintError) -> Int32 {
    let key = keywords.key.isEmpty ? "any \(kind.rawValue)" : "\(kind.rawValue) \(keywords.key)"
    if let rule = known[key] { return rule }
    let rule = try builder.rule(opens: kind == .object ? UInt8(ascii: "{") : UInt8(ascii: "["))
    known[key] = rule
    open.append((rule, keywords, kind))
    return rule
  }

  /// One of the values of `enum` and `const` that the other keywords allow.
  private mutating func listed(
    _ keywords: SchemaKeywords, from source: Int32, to target: Int32
  ) throws(ConstraintError) -> Bool {
    var texts: [String] = []
    var isPossible = false
    let automaton =
      keywords.patterns.isEmpty && keywords.formats.isEmpty
      ? nil : try StringRules.automaton(0, nil, keywords.patterns, keywords.formats, keywords.pointer)
    for value in keywords.values ?? [] where keywords.kinds.contains(SchemaKinds(of: value)) {
      switch value {
      case .string(let text):
        let count = text.unicodeScalars.count
        guard count >= keywords.minimumLength, count <= keywords.maximumLength ?? .max,
          automaton?.accepts(text) ?? true
        else { continue }
        texts.append(text)
      case .integer, .number:
        guard let number = Decimal(value), keywords.range.contains(number) else { continue }
        if keywords.range.multiple != nil {
          throw ConstraintError(keywords.pointer, "multipleOf", "is not supported beside a list of values")
        }
        try builder.text(value.text, from: source, to: target)
      case .null, .bool: try builder.text(value.text, from: source, to: target)
      case .array, .object:
        guard keywords.elements.isEmpty, keywords.properties.isEmpty, keywords.members.isEmpty else {
          throw ConstraintError(keywords.pointer, "enum", "of arrays or objects is not supported beside their keywords")
        }
        try literal(value, from: source, to: target)
      }
      isPossible = true
    }
    if !texts.isEmpty { builder.call(source, try strings.literals(texts, &builder), target) }
    return isPossible
  }

  /// One value, with the white space that any document may have.
  private mutating func literal(_ value: JSONValue, from source: Int32, to target: Int32) throws(ConstraintError) {
    switch value {
    case .null, .bool, .integer, .number: try builder.text(value.text, from: source, to: target)
    case .string(let text): builder.call(source, try strings.literals([text], &builder), target)
    case .array(let elements):
      let rule = try builder.rule(opens: UInt8(ascii: "["))
      builder.call(source, rule, target)
      var current = builder.entry(of: rule)
      for (index, element) in elements.enumerated() {
        let (start, end) = (try builder.state(), try builder.state())
        try separate(isFirst: index == 0, from: current, to: start)
        try literal(element, from: start, to: end)
        current = end
      }
      try close(rule, from: current)
    case .object(let members):
      let rule = try builder.rule(opens: UInt8(ascii: "{"))
      builder.call(source, rule, target)
      var current = builder.entry(of: rule)
      for (index, member) in members.enumerated() {
        let (start, key, end) = (try builder.state(), try builder.state(), try builder.state())
        try separate(isFirst: index == 0, from: current, to: start)
        builder.call(start, try strings.literals([member.key], &builder), key)
        try literal(member.value, from: try colon(behind: key), to: end)
        current = end
      }
      try close(rule, from: current)
    }
  }

  /// What stands in front of an element: white space, and behind another one a comma.
  mutating func separate(isFirst: Bool, from source: Int32, to target: Int32) throws(ConstraintError) {
    guard !isFirst else { return try builder.space(from: source, to: target) }
    let comma = try builder.state()
    builder.edge(source, UInt8(ascii: ","), comma)
    try builder.space(from: comma, to: target)
  }

  /// A colon and perhaps a space.
  mutating func colon(behind key: Int32) throws(ConstraintError) -> Int32 {
    let (colon, value) = (try builder.state(), try builder.state())
    builder.edge(key, UInt8(ascii: ":"), colon)
    builder.epsilon(colon, value)
    builder.edge(colon, UInt8(ascii: " "), value)
    return value
  }

  /// White space and the end of an array or object.
  mutating func close(_ rule: Int32, from source: Int32) throws(ConstraintError) {
    let end = try builder.state()
    try builder.space(from: source, to: end)
    builder.close(
      end, with: builder.rules[Int(rule)].opens == UInt8(ascii: "{") ? UInt8(ascii: "}") : UInt8(ascii: "]"))
  }
}
