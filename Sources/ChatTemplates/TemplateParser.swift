/// Reads tokens into statements, by the grammar of Jinja2 3.1 with its loop controls and transformers' `generation`.
struct TemplateParser {
  let limits: TemplateLimits
  private let tokens: [TemplateToken]
  private var position = 0
  /// Names by their bytes, numbered in the order in which they appear.
  private var numbers: [[UInt8]: Int] = [:]
  private(set) var names: [String] = []
  private var nesting = 0
  /// Loops around here, within one macro.
  private var loops = 0
  /// Conditions around here, which may keep an unknown filter from ever being asked for.
  private var conditions = 0
  /// A filter or test that is not known and will be asked for.
  var unknown: TemplateError?
  /// What `macro` bodies around here speak of, of the three names that change how a macro is called.
  private var spokenOf: [Set<Int>] = []

  init(_ source: [UInt32], limits: TemplateLimits) throws(TemplateError) {
    guard source.count <= limits.source else {
      throw TemplateError(.limit, "the template has more than \(limits.source) characters")
    }
    self.limits = limits
    tokens = try TemplateLexer.tokens(of: source)
    for name in Self.fixedNames { _ = number(of: name) }
  }

  /// Names with a meaning of their own, whose numbers are their places here.
  static let fixedNames = ["loop", "varargs", "kwargs", "caller"]
  static let loopName = 0
  static let varargsName = 1
  static let kwargsName = 2
  static let callerName = 3

  mutating func parse() throws(TemplateError) -> [TemplateStatement] {
    let body = try statements(until: [])
    guard case .end = current.kind else { throw unexpected() }
    if let unknown { throw unknown }
    return body
  }

  // MARK: Tokens

  var current: TemplateToken { tokens[position] }
  var next: TemplateToken { tokens[min(position + 1, tokens.count - 1)] }
  mutating func advance() { if position + 1 < tokens.count { position += 1 } }

  func failure(_ message: String, at offset: Int? = nil) -> TemplateError {
    TemplateError(.syntax, message, offset: offset ?? current.offset)
  }

  func unexpected(wanted: String? = nil) -> TemplateError {
    failure(wanted.map { "expected \($0), got \(current.text)" } ?? "unexpected \(current.text)")
  }

  func at(_ mark: TemplateToken.Mark) -> Bool { current.kind == .mark(mark) }
  func at(name: String) -> Bool { current.kind == .name(name) }

  mutating func skip(_ mark: TemplateToken.Mark) -> Bool {
    guard at(mark) else { return false }
    advance()
    return true
  }

  mutating func skip(name: String) -> Bool {
    guard at(name: name) else { return false }
    advance()
    return true
  }

  mutating func expect(_ mark: TemplateToken.Mark) throws(TemplateError) {
    guard skip(mark) else { throw unexpected(wanted: "'\(mark.rawValue)'") }
  }

  mutating func expect(name: String) throws(TemplateError) {
    guard skip(name: name) else { throw unexpected(wanted: "'\(name)'") }
  }

  mutating func expectName() throws(TemplateError) -> String {
    guard case .name(let name) = current.kind else { throw unexpected(wanted: "a name") }
    advance()
    return name
  }

  mutating func expectBlockEnd() throws(TemplateError) {
    guard current.kind == .blockEnd else { throw unexpected(wanted: "'%}'") }
    advance()
  }

  mutating func number(of name: String) -> Int {
    let key = Array(name.utf8)
    if let number = numbers[key] { return number }
    numbers[key] = names.count
    names.append(name)
    return names.count - 1
  }

  /// The number of a name that is read here.
  mutating func reference(to name: String) -> Int {
    let number = number(of: name)
    if number <= Self.callerName { for index in spokenOf.indices { spokenOf[index].insert(number) } }
    return number
  }

  /// Runs something one level deeper.
  mutating func nested<Result>(
    _ body: (inout TemplateParser) throws(TemplateError) -> Result
  ) throws(TemplateError) -> Result {
    guard nesting < limits.nesting else {
      throw TemplateError(.limit, "nested deeper than \(limits.nesting) levels", offset: current.offset)
    }
    nesting += 1
    defer { nesting -= 1 }
    return try body(&self)
  }

  mutating func noteUnknown(_ message: String, at offset: Int) {
    if conditions == 0, unknown == nil { unknown = failure(message, at: offset) }
  }

  // MARK: Statements

  /// Statements up to a tag with one of these names, which becomes the current token; to the end of the template where
  /// there are none.
  mutating func statements(until ends: Set<String>) throws(TemplateError) -> [TemplateStatement] {
    var body: [TemplateStatement] = []
    while true {
      let token = current
      switch token.kind {
      case .data(let text):
        advance()
        body.append(.text(text))
      case .variableBegin:
        advance()
        body.append(.output(try tuple()))
        guard current.kind == .variableEnd else { throw unexpected(wanted: "'}}'") }
        advance()
      case .blockBegin:
        advance()
        guard case .name(let name) = current.kind else { throw unexpected(wanted: "the name of a tag") }
        if ends.contains(name) { return body }
        if let statement = try nested({ (parser) throws(TemplateError) in try parser.statement(name) }) {
          body.append(statement)
        }
        try expectBlockEnd()
      case .end:
        guard ends.isEmpty else {
          throw failure("the template ends before \(ends.sorted().map { "'\($0)'" }.joined(separator: " or "))")
        }
        return body
      default: throw unexpected()
      }
    }
  }

  /// The body of a block: what follows the tag's end.
  private mutating func body(until ends: Set<String>) throws(TemplateError) -> [TemplateStatement] {
    _ = skip(.colon)
    try expectBlockEnd()
    return try statements(until: ends)
  }

  private mutating func body(to end: String) throws(TemplateError) -> [TemplateStatement] {
    let body = try body(until: [end])
    advance()
    return body
  }

  private mutating func statement(_ name: String) throws(TemplateError) -> TemplateStatement? {
    let offset = current.offset
    advance()
    switch name {
    case "if": return try choice()
    case "for": return try loop(at: offset)
    case "set": return try set()
    case "macro":
      let name = try expectName()
      let number = number(of: name)
      return .macro(number, try macro(named: name, at: offset, end: "endmacro", parameters: parameters()))
    case "call": return try callBlock(at: offset)
    case "filter":
      let filter = try filters(of: nil, startsInline: true)
      guard let filter else { throw unexpected(wanted: "a filter") }
      return .filterBlock(
        filter, try outsideConditions { (parser) throws(TemplateError) in try parser.body(to: "endfilter") })
    case "with": return try with()
    case "generation": return .scope(try body(to: "endgeneration"))
    case "block":
      _ = try expectName()
      while skip(name: "scoped") || skip(name: "required") {}
      let body = try body(until: ["endblock"])
      advance()
      if case .name = current.kind { advance() }
      return .scope(body)
    case "break", "continue":
      guard loops > 0 else { throw failure("'\(name)' outside a loop", at: offset) }
      return name == "break" ? .leaveLoop(offset: offset) : .continueLoop(offset: offset)
    case "include", "import", "from", "extends", "autoescape", "print":
      throw failure("'\(name)' is not supported in chat templates", at: offset)
    default: throw failure("unknown tag '\(name)'", at: offset)
    }
  }

  private mutating func outsideConditions<Result>(
    _ body: (inout TemplateParser) throws(TemplateError) -> Result
  ) throws(TemplateError) -> Result {
    let conditions = conditions
    self.conditions = 0
    defer { self.conditions = conditions }
    return try body(&self)
  }

  private mutating func choice() throws(TemplateError) -> TemplateStatement {
    conditions += 1
    defer { conditions -= 1 }
    var branches: [TemplateStatement.Branch] = []
    while true {
      let test = try tuple(withConditions: false)
      branches.append(.init(test: test, body: try body(until: ["elif", "else", "endif"])))
      if skip(name: "elif") { continue }
      if skip(name: "else") { return .choice(branches, otherwise: try body(to: "endif")) }
      advance()
      return .choice(branches, otherwise: [])
    }
  }

  private mutating func loop(at offset: Int) throws(TemplateError) -> TemplateStatement {
    let target = try target(until: "in")
    try expect(name: "in")
    let sequence = try tuple(withConditions: false, ends: "recursive")
    let condition = skip(name: "if") ? try expression() : nil
    let isRecursive = skip(name: "recursive")
    loops += 1
    let outer = conditions
    conditions = 0
    defer { conditions = outer }
    let body: [TemplateStatement]
    do {
      defer { loops -= 1 }
      body = try self.body(until: ["endfor", "else"])
    }
    let otherwise = skip(name: "else") ? try self.body(until: ["endfor"]) : []
    advance()
    return .loop(
      LoopDefinition(
        target: target, sequence: sequence, condition: condition, isRecursive: isRecursive, body: body,
        otherwise: otherwise, offset: offset))
  }

  private mutating func set() throws(TemplateError) -> TemplateStatement {
    let target = try target(until: nil, withNamespace: true)
    if skip(.assign) { return .set(.init(target: target, value: try tuple())) }
    let filter = try filters(of: nil, startsInline: false)
    return .setBlock(
      target, filter: filter,
      try outsideConditions { (parser) throws(TemplateError) in try parser.body(to: "endset") })
  }

  private mutating func with() throws(TemplateError) -> TemplateStatement {
    var assignments: [TemplateStatement.Assignment] = []
    while current.kind != .blockEnd {
      if !assignments.isEmpty { try expect(.comma) }
      let target = try target(until: nil)
      try expect(.assign)
      assignments.append(.init(target: target, value: try expression()))
    }
    return .with(
      assignments, try outsideConditions { (parser) throws(TemplateError) in try parser.body(to: "endwith") })
  }

  private mutating func parameters() throws(TemplateError) -> [MacroDefinition.Parameter] {
    var parameters: [MacroDefinition.Parameter] = []
    try expect(.leftParenthesis)
    while !at(.rightParenthesis) {
      if !parameters.isEmpty { try expect(.comma) }
      let name = number(of: try expectName())
      let value = skip(.assign) ? try expression() : nil
      guard value != nil || parameters.last?.defaultValue == nil else {
        throw failure("a parameter without default follows one with default")
      }
      parameters.append(.init(name: name, defaultValue: value))
    }
    try expect(.rightParenthesis)
    return parameters
  }

  private mutating func macro(
    named name: String, at offset: Int, end: String, parameters: [MacroDefinition.Parameter]
  ) throws(TemplateError) -> MacroDefinition {
    let outerLoops = loops
    let outerConditions = conditions
    loops = 0
    conditions = 0
    spokenOf.append([])
    defer {
      loops = outerLoops
      conditions = outerConditions
    }
    let body = try body(to: end)
    let used = spokenOf.removeLast()
    return MacroDefinition(
      name: name, parameters: parameters, body: body, offset: offset, takesVariadic: used.contains(Self.varargsName),
      takesKeywords: used.contains(Self.kwargsName), takesCaller: used.contains(Self.callerName))
  }

  private mutating func callBlock(at offset: Int) throws(TemplateError) -> TemplateStatement {
    let parameters = at(.leftParenthesis) ? try parameters() : []
    let call = try expression()
    guard case .call = call.kind else { throw failure("expected a call", at: offset) }
    return .callBlock(try macro(named: "caller", at: offset, end: "endcall", parameters: parameters), call: call)
  }

  // MARK: Targets

  /// What is assigned to: names, tuples of them, or an attribute of a namespace.
  private mutating func target(
    until end: String?, withNamespace: Bool = false
  ) throws(TemplateError) -> TemplateTarget {
    let offset = current.offset
    var targets: [TemplateTarget] = []
    var isTuple = false
    while true {
      if !targets.isEmpty { try expect(.comma) }
      if case .blockEnd = current.kind { break }
      if at(.assign) || at(.rightParenthesis) { break }
      if let end, at(name: end) { break }
      targets.append(try nested { (parser) throws(TemplateError) in try parser.singleTarget(withNamespace) })
      guard at(.comma) else { break }
      isTuple = true
    }
    guard isTuple else {
      guard let single = targets.first else { throw unexpected(wanted: "a name") }
      return single
    }
    return .tuple(targets, offset: offset)
  }

  private mutating func singleTarget(_ withNamespace: Bool) throws(TemplateError) -> TemplateTarget {
    let offset = current.offset
    if skip(.leftParenthesis) {
      let inner = try target(until: nil, withNamespace: withNamespace)
      try expect(.rightParenthesis)
      return inner
    }
    let name = try expectName()
    guard !Self.constants.contains(name) else { throw failure("'\(name)' cannot be assigned to", at: offset) }
    if withNamespace, skip(.dot) {
      return .attribute(reference(to: name), MarkedText(try expectName()), offset: offset)
    }
    return .name(number(of: name))
  }

  static let constants: Set<String> = ["true", "false", "none", "True", "False", "None"]
}
