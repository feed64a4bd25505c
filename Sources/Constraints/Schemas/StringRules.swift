import ModelJSON

/// Rules of strings by what they hold, so that equal ones share their states and masks.
struct StringRules {
  private var known: [String: Int32] = [:]

  private mutating func rule(
    _ key: String, _ make: () throws(ConstraintError) -> Int32
  ) throws(ConstraintError) -> Int32 {
    if let rule = known[key] { return rule }
    let rule = try make()
    known[key] = rule
    return rule
  }

  /// Any of some strings, each written in one way.
  mutating func literals(_ texts: [String], _ builder: inout GrammarBuilder) throws(ConstraintError) -> Int32 {
    try rule("one of \(JSONValue.array(texts.map { .string($0) }).text)") { () throws(ConstraintError) in
      let rule = try builder.rule(opens: UInt8(ascii: "\""))
      try LiteralTrie(texts).add(to: &builder, from: builder.entry(of: rule), othersTo: nil)
      return rule
    }
  }

  /// Any string but some: each escape is written in one way only, so that no escape spells one of them.
  mutating func others(than texts: [String], _ builder: inout GrammarBuilder) throws(ConstraintError) -> Int32 {
    if texts.isEmpty { return try text(0, nil, [], [], "#", &builder) }
    return try rule("none of \(JSONValue.array(texts.map { .string($0) }).text)") { () throws(ConstraintError) in
      let rule = try builder.rule(opens: UInt8(ascii: "\""))
      let rest = try builder.state()
      try builder.scalars(.all, .insideString, from: rest, to: rest)
      builder.close(rest, with: UInt8(ascii: "\""))
      try LiteralTrie(texts).add(to: &builder, from: builder.entry(of: rule), othersTo: rest)
      return rule
    }
  }

  /// A string with bounds on its length, and perhaps expressions that all match.
  mutating func text(
    _ minimum: Int, _ maximum: Int?, _ patterns: [String], _ formats: [String], _ pointer: String,
    _ builder: inout GrammarBuilder
  ) throws(ConstraintError) -> Int32 {
    let name = JSONValue.array((patterns + [""] + formats).map { .string($0) }).text
    return try rule("\(minimum) \(maximum ?? -1) \(name)") { () throws(ConstraintError) in
      builder.pointer = pointer
      if patterns.isEmpty, formats.isEmpty { return try builder.countedString(minimum, maximum) }
      let automaton = try Self.automaton(minimum, maximum, patterns, formats, pointer)
      let rule = try builder.rule(opens: UInt8(ascii: "\""))
      try builder.add(automaton, .insideString, from: builder.entry(of: rule), to: nil)
      return rule
    }
  }

  static func automaton(
    _ minimum: Int, _ maximum: Int?, _ patterns: [String], _ formats: [String], _ pointer: String
  ) throws(ConstraintError) -> ScalarAutomaton {
    var result: ScalarAutomaton?
    func meet(_ expression: String, _ keyword: String) throws(ConstraintError) {
      let next = try ScalarAutomaton(expression, pointer, keyword)
      guard let both = result.map({ $0.intersection(next) }) ?? next else {
        throw ConstraintError(pointer, keyword, "needs too many states")
      }
      result = both
    }
    for pattern in patterns { try meet(pattern, "pattern") }
    for format in formats { try meet(StringFormat.expression(format) ?? "", "format") }
    guard minimum > 0 || maximum != nil else { return result ?? ScalarAutomaton() }
    guard let counted = result?.counted(minimum, maximum) else {
      throw ConstraintError(
        pointer, maximum == nil ? "minLength" : "maxLength", "needs too many states with its pattern")
    }
    return counted
  }
}

/// Texts by their first characters.
private struct LiteralTrie {
  private struct Node {
    var children: [(scalar: Unicode.Scalar, node: Int)] = []
    var places: [Unicode.Scalar: Int] = [:]
    var isEnd = false
  }

  private var nodes = [Node()]

  init(_ texts: [String]) {
    for text in texts {
      var node = 0
      for scalar in text.unicodeScalars {
        if let next = nodes[node].places[scalar] {
          node = next
        } else {
          nodes.append(Node())
          nodes[node].places[scalar] = nodes.count - 1
          nodes[node].children.append((scalar, nodes.count - 1))
          node = nodes.count - 1
        }
      }
      nodes[node].isEnd = true
    }
  }

  /// - Parameter othersTo: where texts lead that are not in the trie, of which all prefixes then are complete; nil leaves the
  ///   texts themselves
  func add(
    to builder: inout GrammarBuilder, from source: Int32, othersTo rest: Int32?
  ) throws(ConstraintError) {
    var states = [source]
    for _ in nodes.dropFirst() { states.append(try builder.state()) }
    for (place, node) in nodes.enumerated() {
      for (scalar, child) in node.children {
        try builder.scalars(ScalarRanges(scalar.value), .insideString, from: states[place], to: states[child])
      }
      if node.isEnd == (rest == nil) { builder.close(states[place], with: UInt8(ascii: "\"")) }
      if let rest {
        let known = ScalarRanges(node.children.map { $0.scalar.value...$0.scalar.value })
        try builder.scalars(known.complement, .insideString, from: states[place], to: rest)
      }
    }
  }
}
