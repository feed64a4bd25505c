extension TemplateParser {
  typealias Expression = TemplateExpression

  /// An expression of known children; refused where it is too deep to be walked through.
  private func make(
    _ kind: Expression.Kind, at offset: Int, _ children: [Expression]
  ) throws(TemplateError) -> Expression {
    let depth = 1 + children.reduce(0) { max($0, $1.depth) }
    guard depth <= limits.expressionDepth else {
      throw TemplateError(.limit, "an expression of more than \(limits.expressionDepth) levels", offset: offset)
    }
    return Expression(kind, offset: offset, depth: depth)
  }

  /// An expression, or several with commas between them.
  mutating func tuple(
    withConditions: Bool = true, ends: String? = nil, inParentheses: Bool = false
  ) throws(TemplateError) -> Expression {
    let offset = current.offset
    var elements: [Expression] = []
    var isTuple = false
    while true {
      if !elements.isEmpty { try expect(.comma) }
      if current.kind == .variableEnd || current.kind == .blockEnd || at(.rightParenthesis) { break }
      if let ends, at(name: ends) { break }
      elements.append(try expression(withConditions: withConditions))
      guard at(.comma) else { break }
      isTuple = true
    }
    if !isTuple {
      if let single = elements.first { return single }
      guard inParentheses else { throw unexpected(wanted: "an expression") }
    }
    return try make(.tuple(elements), at: offset, elements)
  }

  mutating func expression(withConditions: Bool = true) throws(TemplateError) -> Expression {
    try nested { (parser) throws(TemplateError) in
      try withConditions ? parser.conditional() : parser.disjunction()
    }
  }

  private mutating func conditional() throws(TemplateError) -> Expression {
    let offset = current.offset
    let unknownBefore = unknown
    var value = try disjunction()
    while skip(name: "if") {
      let test = try disjunction()
      let otherwise = skip(name: "else") ? try expression() : nil
      unknown = unknownBefore
      value = try make(
        .conditional(test: test, then: value, otherwise: otherwise), at: offset,
        [test, value] + (otherwise.map { [$0] } ?? []))
    }
    return value
  }

  private mutating func disjunction() throws(TemplateError) -> Expression {
    var left = try conjunction()
    while at(name: "or") {
      let offset = current.offset
      advance()
      let right = try conjunction()
      left = try make(.or(left, right), at: offset, [left, right])
    }
    return left
  }

  private mutating func conjunction() throws(TemplateError) -> Expression {
    var left = try negation()
    while at(name: "and") {
      let offset = current.offset
      advance()
      let right = try negation()
      left = try make(.and(left, right), at: offset, [left, right])
    }
    return left
  }

  private mutating func negation() throws(TemplateError) -> Expression {
    guard at(name: "not") else { return try comparison() }
    let offset = current.offset
    advance()
    let value = try nested { (parser) throws(TemplateError) in try parser.negation() }
    return try make(.unary(.not, value), at: offset, [value])
  }

  private mutating func comparison() throws(TemplateError) -> Expression {
    let offset = current.offset
    let first = try sum()
    var operands: [Expression.Operand] = []
    while let comparison = nextComparison() {
      operands.append(.init(comparison: comparison, value: try sum()))
    }
    guard !operands.isEmpty else { return first }
    return try make(.comparison(first, operands), at: offset, [first] + operands.map(\.value))
  }

  private mutating func nextComparison() -> Expression.Comparison? {
    switch current.kind {
    case .mark(let mark):
      guard let comparison = Expression.Comparison(rawValue: mark.rawValue) else { return nil }
      advance()
      return comparison
    case .name("in"):
      advance()
      return .isIn
    case .name("not") where next.kind == .name("in"):
      advance()
      advance()
      return .isNotIn
    default: return nil
    }
  }

  private mutating func binary(
    _ operators: [TemplateToken.Mark],
    _ operand: (inout TemplateParser) throws(TemplateError) -> Expression
  ) throws(TemplateError) -> Expression {
    var left = try operand(&self)
    while case .mark(let mark) = current.kind, operators.contains(mark),
      let binary = Expression.Binary(rawValue: mark.rawValue)
    {
      let offset = current.offset
      advance()
      let right = try operand(&self)
      left = try make(.binary(binary, left, right), at: offset, [left, right])
    }
    return left
  }

  private mutating func sum() throws(TemplateError) -> Expression {
    try binary([.plus, .minus]) { (parser) throws(TemplateError) in try parser.concatenation() }
  }

  private mutating func concatenation() throws(TemplateError) -> Expression {
    let offset = current.offset
    var parts = [try product()]
    while skip(.tilde) { parts.append(try product()) }
    return parts.count == 1 ? parts[0] : try make(.concatenation(parts), at: offset, parts)
  }

  private mutating func product() throws(TemplateError) -> Expression {
    try binary([.star, .slash, .floorDivide, .percent]) { (parser) throws(TemplateError) in
      try parser.binary([.power]) { (parser) throws(TemplateError) in try parser.unary() }
    }
  }

  private mutating func unary(withFilters: Bool = true) throws(TemplateError) -> Expression {
    let offset = current.offset
    var value: Expression
    if at(.minus) || at(.plus) {
      let isMinus = at(.minus)
      advance()
      let operand = try nested { (parser) throws(TemplateError) in try parser.unary(withFilters: false) }
      value = try make(.unary(isMinus ? .minus : .plus, operand), at: offset, [operand])
    } else {
      value = try primary()
    }
    value = try postfix(value)
    return withFilters ? try filtered(value) : value
  }

  private mutating func primary() throws(TemplateError) -> Expression {
    let token = current
    advance()
    switch token.kind {
    case .name("true"), .name("True"): return try make(.literal(.bool(true)), at: token.offset, [])
    case .name("false"), .name("False"): return try make(.literal(.bool(false)), at: token.offset, [])
    case .name("none"), .name("None"): return try make(.literal(.none), at: token.offset, [])
    case .name(let name): return try make(.name(reference(to: name)), at: token.offset, [])
    case .string(var text):
      while case .string(let more) = current.kind {
        text.units += more.units
        advance()
      }
      return try make(.literal(.text(text)), at: token.offset, [])
    case .integer(let value): return try make(.literal(.integer(value)), at: token.offset, [])
    case .float(let value): return try make(.literal(.float(value)), at: token.offset, [])
    case .mark(.leftParenthesis):
      let value = try tuple(inParentheses: true)
      try expect(.rightParenthesis)
      return value
    case .mark(.leftBracket): return try list(at: token.offset)
    case .mark(.leftBrace): return try dictionary(at: token.offset)
    default: throw failure("unexpected \(token.text)", at: token.offset)
    }
  }

  private mutating func list(at offset: Int) throws(TemplateError) -> Expression {
    var elements: [Expression] = []
    while !at(.rightBracket) {
      if !elements.isEmpty { try expect(.comma) }
      if at(.rightBracket) { break }
      elements.append(try expression())
    }
    try expect(.rightBracket)
    return try make(.list(elements), at: offset, elements)
  }

  private mutating func dictionary(at offset: Int) throws(TemplateError) -> Expression {
    var pairs: [Expression.Pair] = []
    while !at(.rightBrace) {
      if !pairs.isEmpty { try expect(.comma) }
      if at(.rightBrace) { break }
      let key = try expression()
      try expect(.colon)
      pairs.append(.init(key: key, value: try expression()))
    }
    try expect(.rightBrace)
    return try make(.dictionary(pairs), at: offset, pairs.flatMap { [$0.key, $0.value] })
  }

  private mutating func postfix(_ base: Expression) throws(TemplateError) -> Expression {
    var value = base
    while true {
      if at(.dot) || at(.leftBracket) {
        value = try subscripted(value)
      } else if at(.leftParenthesis) {
        value = try call(value)
      } else {
        return value
      }
    }
  }

  private mutating func filtered(_ base: Expression) throws(TemplateError) -> Expression {
    var value = base
    while true {
      if at(.pipe) {
        value = try filters(of: value, startsInline: false) ?? value
      } else if at(name: "is") {
        value = try test(value)
      } else if at(.leftParenthesis) {
        value = try call(value)
      } else {
        return value
      }
    }
  }

  private mutating func subscripted(_ base: Expression) throws(TemplateError) -> Expression {
    let offset = current.offset
    if skip(.dot) {
      let token = current
      advance()
      switch token.kind {
      case .name(let name): return try make(.attribute(base, MarkedText(name)), at: offset, [base])
      case .integer(let index):
        let index = try make(.literal(.integer(index)), at: token.offset, [])
        return try make(.item(base, index), at: offset, [base])
      default: throw failure("expected a name or a number after '.'", at: token.offset)
      }
    }
    try expect(.leftBracket)
    var indices: [Expression] = []
    while !at(.rightBracket) {
      if !indices.isEmpty { try expect(.comma) }
      if at(.colon) { return try slice(base, from: nil, at: offset) }
      let index = try expression()
      if at(.colon) { return try slice(base, from: index, at: offset) }
      indices.append(index)
    }
    try expect(.rightBracket)
    let index = indices.count == 1 ? indices[0] : try make(.tuple(indices), at: offset, indices)
    return try make(.item(base, index), at: offset, [base, index])
  }

  private mutating func slice(
    _ base: Expression, from start: Expression?, at offset: Int
  ) throws(TemplateError) -> Expression {
    try expect(.colon)
    let stop = at(.colon) || at(.rightBracket) ? nil : try expression()
    let step = skip(.colon) && !at(.rightBracket) ? try expression() : nil
    try expect(.rightBracket)
    return try make(
      .slice(base, start: start, stop: stop, step: step), at: offset, [base] + [start, stop, step].compactMap { $0 })
  }

  private mutating func call(_ base: Expression) throws(TemplateError) -> Expression {
    let offset = current.offset
    let arguments = try arguments()
    return try make(.call(base, arguments), at: offset, [base] + arguments.children)
  }

  private mutating func arguments() throws(TemplateError) -> Expression.Arguments {
    let offset = current.offset
    try expect(.leftParenthesis)
    var arguments = Expression.Arguments()
    var isFirst = true
    while !at(.rightParenthesis) {
      if !isFirst {
        try expect(.comma)
        if at(.rightParenthesis) { break }
      }
      isFirst = false
      let isOpen = arguments.unpackedKeywords == nil
      if skip(.star) {
        guard isOpen, arguments.unpacked == nil else { throw failure("malformed arguments", at: offset) }
        arguments.unpacked = try expression()
      } else if skip(.power) {
        guard isOpen else { throw failure("malformed arguments", at: offset) }
        arguments.unpackedKeywords = try expression()
      } else if case .name(let name) = current.kind, next.kind == .mark(.assign) {
        guard isOpen else { throw failure("malformed arguments", at: offset) }
        guard !arguments.keywords.contains(where: { $0.name == name }) else {
          throw failure("the argument '\(name)' is given twice", at: offset)
        }
        advance()
        advance()
        arguments.keywords.append(.init(name: name, value: try expression()))
      } else {
        guard isOpen, arguments.unpacked == nil, arguments.keywords.isEmpty else {
          throw failure("malformed arguments", at: offset)
        }
        arguments.positional.append(try expression())
      }
    }
    try expect(.rightParenthesis)
    return arguments
  }

  /// Filters one after the other; `startsInline` where the first has no bar before it.
  mutating func filters(of base: Expression?, startsInline: Bool) throws(TemplateError) -> Expression? {
    var value = base
    var isInline = startsInline
    while isInline || at(.pipe) {
      if !isInline { advance() }
      isInline = false
      let offset = current.offset
      var name = try expectName()
      while skip(.dot) { name += "." + (try expectName()) }
      let filter = TemplateFilter(rawValue: name)
      if filter == nil { noteUnknown("no filter is called '\(name)'", at: offset) }
      let arguments = at(.leftParenthesis) ? try arguments() : .init()
      value = try make(
        .filter(value, name: name, filter, arguments), at: offset, (value.map { [$0] } ?? []) + arguments.children)
    }
    return value
  }

  private mutating func test(_ base: Expression) throws(TemplateError) -> Expression {
    let offset = current.offset
    advance()
    let isNegated = skip(name: "not")
    let nameOffset = current.offset
    var name = try expectName()
    while skip(.dot) { name += "." + (try expectName()) }
    let test = TemplateTest(rawValue: name)
    if test == nil { noteUnknown("no test is called '\(name)'", at: nameOffset) }
    var arguments = Expression.Arguments()
    if at(.leftParenthesis) {
      arguments = try self.arguments()
    } else if beginsTestArgument {
      guard !at(name: "is") else { throw failure("tests cannot be chained with 'is'") }
      arguments.positional = [
        try nested { (parser) throws(TemplateError) in try parser.postfix(parser.primary()) }
      ]
    }
    let value = try make(.test(base, name: name, test, arguments), at: offset, [base] + arguments.children)
    return isNegated ? try make(.unary(.not, value), at: offset, [value]) : value
  }

  /// Whether the argument of a test follows without parentheses.
  private var beginsTestArgument: Bool {
    switch current.kind {
    case .name(let name): !["else", "or", "and"].contains(name)
    case .string, .integer, .float, .mark(.leftBracket), .mark(.leftBrace): true
    default: false
    }
  }
}
