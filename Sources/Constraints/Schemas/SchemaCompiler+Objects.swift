import ModelJSON

extension SchemaCompiler {
  /// The states of an object's rule.
  mutating func object(_ keywords: SchemaKeywords, _ rule: Int32) throws(ConstraintError) {
    let properties = declared(keywords)
    if properties.isEmpty { return try map(keywords, rule) }
    try checkCounts(keywords, properties)
    let others = try others(keywords)
    // Before each member: nothing written yet, something written, or a comma written.
    var empty = try builder.state()
    try builder.space(from: builder.entry(of: rule), to: empty)
    var written = try builder.state()
    var comma = try builder.state()
    for (name, parts, isRequired) in properties {
      let member = try builder.state()
      let next = (empty: try builder.state(), written: try builder.state(), comma: try builder.state())
      let isPossible = try add(member: name, parts, from: member, to: next.written)
      guard isPossible || !isRequired else {
        throw ConstraintError(keywords.pointer, "required", "asks for '\(name)', for which no value is allowed")
      }
      if isPossible {
        builder.epsilon(empty, member)
        builder.epsilon(comma, member)
      }
      if !isRequired {
        builder.epsilon(empty, next.empty)
        builder.epsilon(comma, next.comma)
        builder.epsilon(written, next.written)
      }
      try separate(isFirst: false, from: written, to: comma)
      (empty, written, comma) = next
    }
    if let others {
      let (member, after) = (try builder.state(), try builder.state())
      builder.epsilon(empty, member)
      builder.epsilon(comma, member)
      try separate(isFirst: false, from: written, to: comma)
      let key = try builder.state()
      builder.call(member, try strings.others(than: properties.map(\.name), &builder), key)
      if try value(others, from: colon(behind: key), to: after) { builder.epsilon(after, written) }
    }
    let end = try builder.state()
    builder.epsilon(empty, end)
    builder.epsilon(written, end)
    try close(rule, from: end)
  }

  /// A member's name, the colon, and its value; false where no value is possible.
  private mutating func add(
    member name: String, _ parts: [SchemaPart], from source: Int32, to target: Int32
  ) throws(ConstraintError) -> Bool {
    let key = try builder.state()
    builder.call(source, try strings.literals([name], &builder), key)
    return try value(parts, from: colon(behind: key), to: target)
  }

  /// Members in their order, with all schemas that hold for each; those that are required and not declared come last.
  private func declared(_ keywords: SchemaKeywords) -> [(name: String, parts: [SchemaPart], isRequired: Bool)] {
    let required = Set(keywords.required.map { Array($0.utf8) })
    var result = keywords.properties.map { property in
      (name: property.name, parts: property.parts, isRequired: required.contains(Array(property.name.utf8)))
    }
    let names = Set(keywords.properties.map { Array($0.name.utf8) })
    for name in keywords.required where !names.contains(Array(name.utf8)) { result.append((name, [], true)) }
    for source in keywords.members {
      guard let others = source.others else { continue }
      let known = Set(source.names.map { Array($0.utf8) })
      for index in result.indices where !known.contains(Array(result[index].name.utf8)) {
        result[index].parts.append(others)
      }
    }
    return result
  }

  /// The schemas of members that are not declared; nil where there are to be none.
  ///
  /// Beside `properties`, others are written only where `additionalProperties` says so.
  private func others(_ keywords: SchemaKeywords) throws(ConstraintError) -> [SchemaPart]? {
    guard keywords.propertyNames.isEmpty, keywords.namePatterns.isEmpty else {
      let keyword = keywords.propertyNames.isEmpty ? "patternProperties" : "propertyNames"
      throw ConstraintError(keywords.pointer, keyword, "is not supported beside 'properties' and 'required'")
    }
    let others = keywords.members.compactMap(\.others)
    return others.isEmpty || others.contains { $0.value.bool == false } ? nil : others
  }

  private func checkCounts(
    _ keywords: SchemaKeywords, _ properties: [(name: String, parts: [SchemaPart], isRequired: Bool)]
  ) throws(ConstraintError) {
    let least = properties.count { $0.isRequired }
    let isClosed = try others(keywords) == nil
    if keywords.minimumProperties > least {
      throw ConstraintError(keywords.pointer, "minProperties", "is supported up to the number of required members only")
    }
    if let maximum = keywords.maximumProperties, maximum < properties.count || !isClosed {
      throw ConstraintError(keywords.pointer, "maxProperties", "is not supported beside these 'properties'")
    }
  }

  /// An object without declared members: any names, or those that `propertyNames` or one pattern allows.
  private mutating func map(_ keywords: SchemaKeywords, _ rule: Int32) throws(ConstraintError) {
    guard keywords.namePatterns.count <= 1, keywords.minimumProperties <= 1 else {
      let keyword = keywords.minimumProperties > 1 ? "minProperties" : "patternProperties"
      throw ConstraintError(keywords.pointer, keyword, "is not supported beyond 1, since names may repeat")
    }
    var values = keywords.members.compactMap(\.others)
    var patterns: [String] = []
    if let named = keywords.namePatterns.first {
      (values, patterns) = ([named.part], [named.pattern])
    }
    let start = try builder.state()
    try builder.space(from: builder.entry(of: rule), to: start)
    let end = try builder.state()
    if keywords.minimumProperties == 0 { builder.epsilon(start, end) }
    try close(rule, from: end)
    // What a comma leads back to cannot end.
    var source = try builder.state()
    builder.epsilon(start, source)
    for index in 0..<(keywords.maximumProperties ?? 1) {
      let (key, after) = (try builder.state(), try builder.state())
      for name in try names(keywords.propertyNames, patterns, keywords.pointer) { builder.call(source, name, key) }
      guard try value(values, from: colon(behind: key), to: after) else { break }
      builder.epsilon(after, end)
      let next = keywords.maximumProperties == nil ? source : try builder.state()
      if index + 1 != keywords.maximumProperties { try separate(isFirst: false, from: after, to: next) }
      source = next
    }
  }

  /// The rules of names that several schemas and patterns allow.
  private mutating func names(
    _ schemas: [SchemaPart], _ patterns: [String], _ pointer: String
  ) throws(ConstraintError) -> [Int32] {
    var rules: [Int32] = []
    for name in try resolver.alternatives(of: schemas) where name.kinds.contains(.string) {
      if let values = name.values {
        let texts = values.compactMap(\.string)
        guard patterns.isEmpty, name.patterns.isEmpty, name.formats.isEmpty, name.maximumLength == nil else {
          throw ConstraintError(pointer, "propertyNames", "is not supported as a list with other keywords")
        }
        if !texts.isEmpty { rules.append(try strings.literals(texts, &builder)) }
      } else {
        rules.append(
          try strings.text(
            name.minimumLength, name.maximumLength, name.patterns + patterns, name.formats, name.pointer, &builder))
      }
    }
    return rules
  }
}
