import CLibrary

extension TemplateEvaluator {
  func apply(_ operation: TemplateExpression.Unary, to value: TemplateValue) throws(TemplateError) -> TemplateValue {
    if case .not = operation { return .bool(!value.isTrue) }
    if case .undefined(let message) = value { throw failure(.undefined, message) }
    let isMinus = if case .minus = operation { true } else { false }
    if let number = value.asInteger {
      let (result, overflow) = isMinus ? Int(0).subtractingReportingOverflow(number) : (number, false)
      guard !overflow else { throw overflowFailure }
      return .integer(result)
    }
    if case .float(let number) = value { return .float(isMinus ? -number : number) }
    throw failure(.type, "bad operand type for unary \(isMinus ? "-" : "+"): '\(value.typeName)'")
  }

  private var overflowFailure: TemplateError { failure(.type, "a number too large for 64 bits") }

  func apply(
    _ operation: TemplateExpression.Binary, _ a: TemplateValue, _ b: TemplateValue
  ) throws(TemplateError) -> TemplateValue {
    if case .modulo = operation, case .text(let format) = a { return .text(try percentFormat(format, b)) }
    if case .undefined(let message) = a { throw failure(.undefined, message) }
    if case .undefined(let message) = b { throw failure(.undefined, message) }
    if let a = a.asInteger, let b = b.asInteger { return try integers(operation, a, b) }
    if let a = a.asDouble, let b = b.asDouble { return try floats(operation, a, b) }
    switch (operation, a, b) {
    case (.add, .text(let a), .text(let b)): return .text(try joined(a, b))
    case (.add, .sequence(let a, let kindA), .sequence(let b, let kindB))
    where kindA == kindB && (kindA == .list || kindA == .tuple):
      try charge(8, times: a.count + b.count)
      return .sequence(a + b, kindA)
    case (.multiply, .text, _), (.multiply, .sequence, _):
      if let count = b.asInteger { return try repeated(a, count) }
    case (.multiply, _, .text), (.multiply, _, .sequence):
      if let count = a.asInteger { return try repeated(b, count) }
    default: break
    }
    if case .add = operation, case .text = a {
      throw failure(.type, "can only concatenate str (not \"\(b.typeName)\") to str")
    }
    if case .add = operation, case .sequence(_, .list) = a {
      throw failure(.type, "can only concatenate list (not \"\(b.typeName)\") to list")
    }
    throw failure(
      .type, "unsupported operand type(s) for \(operation.rawValue): '\(a.typeName)' and '\(b.typeName)'")
  }

  /// Two texts; where one is markup, the other is escaped and the sum is markup.
  func joined(_ a: MarkedText, _ b: MarkedText) throws(TemplateError) -> MarkedText {
    try charge(a.count + b.count)
    guard a.isMarkup || b.isMarkup else { return MarkedText(units: a.units + b.units) }
    let sum = MarkedText(units: a.escaped.units + b.escaped.units, isMarkup: true)
    try charge(sum.count)
    return sum
  }

  private func repeated(_ value: TemplateValue, _ count: Int) throws(TemplateError) -> TemplateValue {
    let count = max(0, count)
    switch value {
    case .text(let text):
      try charge(text.count, times: count)
      var units: [UInt32] = []
      if !text.isEmpty { for _ in 0..<count { units += text.units } }
      return .text(MarkedText(units: units, isMarkup: text.isMarkup))
    case .sequence(let elements, let kind) where kind == .list || kind == .tuple:
      try charge(elements.count, times: count)
      try charge(8 * elements.count, times: count)
      var result: [TemplateValue] = []
      if !elements.isEmpty { for _ in 0..<count { result += elements } }
      return .sequence(result, kind)
    default: throw failure(.type, "can't multiply a \(value.typeName)")
    }
  }

  private func integers(_ operation: TemplateExpression.Binary, _ a: Int, _ b: Int) throws(TemplateError)
    -> TemplateValue
  {
    let result: (partialValue: Int, overflow: Bool)
    switch operation {
    case .add: result = a.addingReportingOverflow(b)
    case .subtract: result = a.subtractingReportingOverflow(b)
    case .multiply: result = a.multipliedReportingOverflow(by: b)
    case .divide: return try floats(operation, Double(a), Double(b))
    case .floorDivide, .modulo:
      guard b != 0 else { throw failure(.type, "integer division or modulo by zero") }
      let quotient = a.dividedReportingOverflow(by: b)
      guard !quotient.overflow else {
        if case .modulo = operation { return .integer(0) }
        throw overflowFailure
      }
      let remainder = a % b
      let isBelow = remainder != 0 && (remainder < 0) != (b < 0)
      if case .modulo = operation { return .integer(isBelow ? remainder + b : remainder) }
      return .integer(isBelow ? quotient.partialValue - 1 : quotient.partialValue)
    case .power:
      guard b >= 0 else { return try floats(operation, Double(a), Double(b)) }
      return .integer(try power(a, b))
    }
    guard !result.overflow else { throw overflowFailure }
    return .integer(result.partialValue)
  }

  private func power(_ base: Int, _ exponent: Int) throws(TemplateError) -> Int {
    if base == 0 || base == 1 { return exponent == 0 ? 1 : base }
    if base == -1 { return exponent % 2 == 0 ? 1 : -1 }
    guard exponent < 64 else { throw overflowFailure }
    var result = 1
    for _ in 0..<exponent {
      let product = result.multipliedReportingOverflow(by: base)
      guard !product.overflow else { throw overflowFailure }
      result = product.partialValue
    }
    return result
  }

  private func floats(_ operation: TemplateExpression.Binary, _ a: Double, _ b: Double) throws(TemplateError)
    -> TemplateValue
  {
    switch operation {
    case .add: return .float(a + b)
    case .subtract: return .float(a - b)
    case .multiply: return .float(a * b)
    case .divide:
      guard b != 0 else { throw failure(.type, "division by zero") }
      return .float(a / b)
    case .floorDivide, .modulo:
      guard b != 0 else { throw failure(.type, "float floor division or modulo by zero") }
      var remainder = fmod(a, b)
      if remainder != 0, (remainder < 0) != (b < 0) { remainder += b }
      if case .modulo = operation { return .float(remainder == 0 ? copysign(0, b) : remainder) }
      let quotient = (a - remainder) / b
      var floored = quotient.rounded(.down)
      if quotient - floored > 0.5 { floored += 1 }
      return .float(floored)
    case .power:
      if a == 0, b < 0 { throw failure(.type, "0.0 cannot be raised to a negative power") }
      let result = pow(a, b)
      if result.isNaN, !a.isNaN, !b.isNaN { throw failure(.type, "a power that is a complex number") }
      if result.isInfinite, a.isFinite, b.isFinite { throw failure(.type, "a number too large") }
      return .float(result)
    }
  }
}
