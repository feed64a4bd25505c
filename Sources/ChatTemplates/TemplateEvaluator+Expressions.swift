extension TemplateEvaluator {
  func evaluate(_ expression: TemplateExpression) throws(TemplateError) -> TemplateValue {
    try step()
    switch expression.kind {
    case .literal(let literal): return Self.value(of: literal)
    case .name(let name): return lookUp(name)
    default: return try nested { () throws(TemplateError) in try evaluateOperation(expression) }
    }
  }

  private static func value(of literal: TemplateExpression.Literal) -> TemplateValue {
    switch literal {
    case .none: .none
    case .bool(let value): .bool(value)
    case .integer(let value): .integer(value)
    case .float(let value): .float(value)
    case .text(let text): .text(text)
    }
  }

  private func lookUp(_ name: Int) -> TemplateValue {
    scope.value(of: name) ?? .undefined("'\(names[name])' is undefined")
  }

  private func evaluateOperation(_ expression: TemplateExpression) throws(TemplateError) -> TemplateValue {
    switch expression.kind {
    case .literal, .name: return .none
    case .list(let elements): return .list(try values(of: elements))
    case .tuple(let elements): return .tuple(try values(of: elements))
    case .dictionary(let pairs): return try dictionary(pairs)
    case .unary(let operation, let operand):
      let value = try evaluate(operand)
      offset = expression.offset
      return try apply(operation, to: value)
    case .binary(let operation, let left, let right):
      let left = try evaluate(left)
      let right = try evaluate(right)
      offset = expression.offset
      return try apply(operation, left, right)
    case .and(let left, let right):
      let value = try evaluate(left)
      return value.isTrue ? try evaluate(right) : value
    case .or(let left, let right):
      let value = try evaluate(left)
      return value.isTrue ? value : try evaluate(right)
    case .concatenation(let parts): return try concatenate(parts)
    case .comparison(let first, let operands): return try compare(first, operands, at: expression.offset)
    case .conditional(let test, let then, let otherwise):
      if try evaluate(test).isTrue { return try evaluate(then) }
      guard let otherwise else {
        return .undefined("the inline if-expression evaluated to false and no else section was defined")
      }
      return try evaluate(otherwise)
    case .attribute(let base, let name):
      let value = try evaluate(base)
      offset = expression.offset
      return try attribute(name, of: value)
    case .item(let base, let index):
      let value = try evaluate(base)
      let index = try evaluate(index)
      offset = expression.offset
      return try item(index, of: value)
    case .slice(let base, let start, let stop, let step):
      return try slice(base, start, stop, step, at: expression.offset)
    case .call(let base, let arguments):
      let callee = try evaluate(base)
      let arguments = try self.arguments(arguments)
      offset = expression.offset
      return try call(callee, arguments)
    case .filter(let base, let name, let filter, let arguments):
      return try applyFilter(base, name, filter, arguments, at: expression.offset)
    case .test(let base, let name, let test, let arguments):
      let value = try evaluate(base)
      let arguments = try self.arguments(arguments)
      offset = expression.offset
      guard let test else { throw failure(.type, "no test is called '\(name)'") }
      return .bool(try apply(test, to: value, arguments))
    }
  }

  private func applyFilter(
    _ base: TemplateExpression?, _ name: String, _ filter: TemplateFilter?,
    _ arguments: TemplateExpression.Arguments, at place: Int
  ) throws(TemplateError) -> TemplateValue {
    let value = try base.map { (base) throws(TemplateError) in try evaluate(base) } ?? blockText
    let arguments = try self.arguments(arguments)
    offset = place
    guard let filter else { throw failure(.type, "no filter is called '\(name)'") }
    return try apply(filter, to: value, arguments)
  }

  private func values(of expressions: [TemplateExpression]) throws(TemplateError) -> [TemplateValue] {
    try charge(8 * expressions.count)
    var values: [TemplateValue] = []
    values.reserveCapacity(expressions.count)
    for expression in expressions { values.append(try evaluate(expression)) }
    return values
  }

  private func dictionary(_ pairs: [TemplateExpression.Pair]) throws(TemplateError) -> TemplateValue {
    try charge(24 * pairs.count)
    var members = TemplateDictionary()
    for pair in pairs {
      let key = try evaluate(pair.key)
      let value = try evaluate(pair.value)
      offset = pair.key.offset
      try set(key, to: value, in: &members)
    }
    return .dictionary(members)
  }

  /// Adds a member, if the key can be one.
  func set(
    _ key: TemplateValue, to value: TemplateValue, in members: inout TemplateDictionary
  ) throws(TemplateError) {
    guard TemplateDictionary.Key(key) != nil else { throw failure(.type, "unhashable type: '\(key.typeName)'") }
    members.set(key, to: value)
  }

  private func concatenate(_ parts: [TemplateExpression]) throws(TemplateError) -> TemplateValue {
    var units: [UInt32] = []
    for part in parts {
      let value = try evaluate(part)
      offset = part.offset
      let text = try text(of: value)
      try charge(text.count)
      units += text.units
    }
    return .text(MarkedText(units: units))
  }

  private func compare(
    _ first: TemplateExpression, _ operands: [TemplateExpression.Operand], at place: Int
  ) throws(TemplateError) -> TemplateValue {
    var left = try evaluate(first)
    for operand in operands {
      let right = try evaluate(operand.value)
      offset = place
      guard try holds(operand.comparison, left, right) else { return .bool(false) }
      left = right
    }
    return .bool(true)
  }

  func holds(
    _ comparison: TemplateExpression.Comparison, _ left: TemplateValue, _ right: TemplateValue
  ) throws(TemplateError) -> Bool {
    let symbol = comparison.rawValue
    switch comparison {
    case .equal: return try isEqual(left, right)
    case .notEqual: return try !isEqual(left, right)
    case .less: return try order(left, right, operator: symbol).map { $0 < 0 } ?? false
    case .lessOrEqual: return try order(left, right, operator: symbol).map { $0 <= 0 } ?? false
    case .greater: return try order(left, right, operator: symbol).map { $0 > 0 } ?? false
    case .greaterOrEqual: return try order(left, right, operator: symbol).map { $0 >= 0 } ?? false
    case .isIn: return try contains(right, left)
    case .isNotIn: return try !contains(right, left)
    }
  }

  func arguments(_ list: TemplateExpression.Arguments) throws(TemplateError) -> TemplateArguments {
    var arguments = TemplateArguments()
    if list.isEmpty { return arguments }
    arguments.positional = try values(of: list.positional)
    for keyword in list.keywords { arguments.keywords.append((keyword.name, try evaluate(keyword.value))) }
    if let unpacked = list.unpacked {
      let elements = try elements(of: try evaluate(unpacked))
      try charge(8 * elements.count)
      arguments.positional += elements
    }
    if let unpacked = list.unpackedKeywords {
      let value = try evaluate(unpacked)
      offset = unpacked.offset
      guard case .dictionary(let members) = value else {
        throw failure(.type, "argument after ** must be a mapping, not \(value.typeName)")
      }
      for (key, value) in zip(members.keys, members.values) {
        guard case .text(let name) = key else { throw failure(.type, "keywords must be strings") }
        let string = name.string
        guard !arguments.keywords.contains(where: { $0.name == string }) else {
          throw failure(.type, "got multiple values for keyword argument '\(string)'")
        }
        arguments.keywords.append((string, value))
      }
    }
    return arguments
  }
}
