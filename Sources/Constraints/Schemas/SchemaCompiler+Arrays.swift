import ModelJSON

extension SchemaCompiler {
  /// The states of an array's rule.
  ///
  /// Behind `prefixItems` there is more only where `items` or `minItems` asks for it.
  mutating func array(_ keywords: SchemaKeywords, _ rule: Int32) throws(ConstraintError) {
    let longest = keywords.elements.map(\.first.count).max() ?? 0
    let hasOthers = keywords.elements.contains { $0.others != nil }
    var maximum = keywords.maximumItems
    if longest > 0, !hasOthers, keywords.minimumItems <= longest { maximum = min(maximum ?? .max, longest) }
    if keywords.isUnique, maximum ?? .max > 1 {
      throw ConstraintError(keywords.pointer, "uniqueItems", "is not supported")
    }
    guard keywords.minimumItems <= maximum ?? .max else {
      throw ConstraintError(keywords.pointer, "minItems", "is more than there may be")
    }
    let end = try builder.state()
    try close(rule, from: end)
    var source = builder.entry(of: rule)
    if keywords.minimumItems == 0 { builder.epsilon(source, end) }
    // Elements with a place of their own; behind them all are alike.
    let counted = max(longest, keywords.minimumItems, maximum ?? 0)
    for index in 0..<min(counted, maximum ?? .max) {
      let (start, after) = (try builder.state(), try builder.state())
      try separate(isFirst: index == 0, from: source, to: start)
      guard try value(parts(keywords, index), from: start, to: after) else {
        return try endEarly(keywords, count: index)
      }
      if index + 1 >= keywords.minimumItems { builder.epsilon(after, end) }
      source = after
    }
    guard maximum == nil else { return }
    let (start, after) = (try builder.state(), try builder.state())
    try separate(isFirst: counted == 0, from: source, to: start)
    guard try value(parts(keywords, counted), from: start, to: after) else {
      return try endEarly(keywords, count: counted)
    }
    builder.epsilon(after, end)
    try separate(isFirst: false, from: after, to: start)
  }

  /// The schemas that hold for an element.
  private func parts(_ keywords: SchemaKeywords, _ index: Int) -> [SchemaPart] {
    keywords.elements.compactMap { $0.first.indices.contains(index) ? $0.first[index] : $0.others }
  }

  /// No value is possible at a place, so the array ends before it.
  private func endEarly(_ keywords: SchemaKeywords, count: Int) throws(ConstraintError) {
    guard count >= keywords.minimumItems else {
      throw ConstraintError(keywords.pointer, "minItems", "asks for an element for which no value is allowed")
    }
  }
}
