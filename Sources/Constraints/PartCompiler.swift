import ModelJSON

/// Makes a grammar of the parts of a constraint.
struct PartCompiler {
  private var builder = GrammarBuilder()
  private var strings = StringRules()
  private var depth = 0

  private static let depthLimit = 100

  mutating func compile(_ part: Constraint.Part) throws(ConstraintError) -> Grammar {
    let root = try builder.rule(opens: 0)
    let end = try builder.state()
    try add(part, from: builder.entry(of: root), to: end)
    return try Grammar(builder, accepting: end)
  }

  private mutating func add(_ part: Constraint.Part, from source: Int32, to target: Int32) throws(ConstraintError) {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.depthLimit else { throw ConstraintError("#", nil, "is put together too deeply") }
    switch part {
    case .text(let text): try builder.text(text, from: source, to: target)
    case .special(let id): builder.edge(source, special: id, target)
    case .json(let schema): try add(schema, from: source, to: target)
    case .pattern(let pattern): try add(pattern: pattern, from: source, to: target)
    case .textEnding(let mark): try add(textUpTo: mark, from: source, to: target)
    case .anyText:
      let loop = try builder.state()
      builder.epsilon(source, loop)
      builder.edge(loop, 0...255, loop)
      builder.epsilon(loop, target)
    case .space: try builder.space(from: source, to: target)
    case .sequence(let parts):
      var current = source
      for part in parts {
        let next = try builder.state()
        try add(part, from: current, to: next)
        current = next
      }
      builder.epsilon(current, target)
    case .alternatives(let parts):
      for part in parts { try addApart(part, from: source, to: target) }
    case .optional(let part):
      builder.epsilon(source, target)
      try addApart(part, from: source, to: target)
    case .repeated(let part, let separator, let range):
      try add(part, separator, range.lowerBound, range.upperBound, from: source, to: target)
    case .oneOrMore(let part, let separator): try add(part, separator, 1, nil, from: source, to: target)
    }
  }

  /// Behind a state of its own, so that a loop in it comes back to itself only.
  private mutating func addApart(_ part: Constraint.Part, from source: Int32, to target: Int32) throws(ConstraintError)
  {
    let start = try builder.state()
    builder.epsilon(source, start)
    try add(part, from: start, to: target)
  }

  private mutating func add(
    _ part: Constraint.Part, _ separator: Constraint.Part, _ minimum: Int, _ maximum: Int?, from source: Int32,
    to target: Int32
  ) throws(ConstraintError) {
    if minimum == 0 { builder.epsilon(source, target) }
    var current = source
    for index in 0..<(maximum ?? max(1, minimum)) {
      let (start, end) = (try builder.state(), try builder.state())
      if index == 0 { builder.epsilon(current, start) } else { try add(separator, from: current, to: start) }
      try add(part, from: start, to: end)
      if index + 1 >= minimum { builder.epsilon(end, target) }
      current = end
      if maximum == nil, index + 1 >= max(1, minimum) { try add(separator, from: end, to: start) }
    }
  }

  private mutating func add(_ schema: JSONValue, from source: Int32, to target: Int32) throws(ConstraintError) {
    var compiler = SchemaCompiler(schema)
    try compiler.compile(into: &builder, &strings, from: source, to: target)
  }

  private mutating func add(pattern: String, from source: Int32, to target: Int32) throws(ConstraintError) {
    try builder.add(ScalarAutomaton(pattern, "#", "pattern"), .plain, from: source, to: target)
  }

  /// The automaton of the first occurrence, for each state of which it is known whether backticks are open.
  private mutating func add(textUpTo mark: String, from source: Int32, to target: Int32) throws(ConstraintError) {
    let mark = Array(mark.utf8)
    precondition(!mark.isEmpty, "a mark without text")
    var states: [[Int32]] = []
    for _ in 0..<2 {
      var row: [Int32] = []
      for _ in mark { row.append(try builder.state()) }
      states.append(row)
    }
    builder.epsilon(source, states[0][0])
    for quoted in 0..<2 {
      for matched in mark.indices {
        for byte in UInt8.min...UInt8.max {
          let state = states[quoted][matched]
          let next = Self.matched(mark, matched, byte)
          if quoted == 0, next == mark.count {
            builder.edge(state, byte, target)
            continue
          }
          let isQuoted =
            byte == UInt8(ascii: "`")
            ? 1 - quoted : byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") ? 0 : quoted
          builder.edge(state, byte, states[isQuoted][quoted == 1 ? 0 : next])
        }
      }
    }
  }

  /// How much of a mark the text ends with, after one more byte.
  private static func matched(_ mark: [UInt8], _ matched: Int, _ byte: UInt8) -> Int {
    let text = mark[..<matched] + [byte]
    return stride(from: min(text.count, mark.count), to: 0, by: -1).first {
      text.suffix($0).elementsEqual(mark.prefix($0))
    }
      ?? 0
  }
}
