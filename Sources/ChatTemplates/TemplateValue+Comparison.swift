extension TemplateEvaluator {
  /// Python's `==`. What is nested deeper than any JSON ends in the limit's error.
  func isEqual(_ a: TemplateValue, _ b: TemplateValue, depth: Int = 0) throws(TemplateError) -> Bool {
    try step()
    guard depth < Self.nestingLimit else { throw failure(.limit, "values nested too deep to be compared") }
    switch (a, b) {
    case (.undefined, .undefined), (.none, .none): return true
    case (.text(let a), .text(let b)):
      try step(min(a.count, b.count) / 16)
      return a == b
    case (.sequence(let a, let kindA), .sequence(let b, let kindB)):
      guard kindA == kindB, kindA != .generator, kindA != .values, a.count == b.count else { return false }
      for index in a.indices {
        guard try isEqual(a[index], b[index], depth: depth + 1) else { return false }
      }
      return true
    case (.dictionary(let a), .dictionary(let b)):
      guard a.count == b.count else { return false }
      for (key, value) in zip(a.keys, a.values) {
        guard let hashed = TemplateDictionary.Key(key), let other = b[hashed] else { return false }
        guard try isEqual(value, other, depth: depth + 1) else { return false }
      }
      return true
    case (.namespace(let a), .namespace(let b)): return a === b
    case (.loop(let a), .loop(let b)): return a === b
    case (.callable(.macro(let a, let scopeA)), .callable(.macro(let b, let scopeB))):
      return a === b && scopeA === scopeB
    default:
      if let a = a.asInteger, let b = b.asInteger { return a == b }
      if let a = a.asDouble, let b = b.asDouble { return a == b }
      return false
    }
  }

  static let nestingLimit = 160

  /// Python's order of two values: negative, zero or positive; nil where one is not a number.
  func order(
    _ a: TemplateValue, _ b: TemplateValue, operator symbol: String = "<", depth: Int = 0
  ) throws(TemplateError) -> Int? {
    try step()
    guard depth < Self.nestingLimit else { throw failure(.limit, "values nested too deep to be compared") }
    if let a = a.asInteger, let b = b.asInteger { return a < b ? -1 : a > b ? 1 : 0 }
    if let a = a.asDouble, let b = b.asDouble { return a < b ? -1 : a > b ? 1 : a == b ? 0 : nil }
    switch (a, b) {
    case (.undefined(let message), _), (_, .undefined(let message)): throw failure(.undefined, message)
    case (.text(let a), .text(let b)):
      try step(min(a.count, b.count) / 16)
      return a < b ? -1 : a == b ? 0 : 1
    case (.sequence(let elementsA, let kindA), .sequence(let elementsB, let kindB))
    where kindA == kindB && (kindA == .list || kindA == .tuple):
      for index in 0..<min(elementsA.count, elementsB.count) {
        if try isEqual(elementsA[index], elementsB[index], depth: depth + 1) { continue }
        return try order(elementsA[index], elementsB[index], operator: symbol, depth: depth + 1)
      }
      return elementsA.count - elementsB.count
    default:
      throw failure(
        .type, "'\(symbol)' not supported between instances of '\(a.typeName)' and '\(b.typeName)'")
    }
  }

  /// Python's `in`.
  func contains(_ container: TemplateValue, _ element: TemplateValue) throws(TemplateError) -> Bool {
    switch container {
    case .text(let text):
      guard case .text(let part) = element else {
        throw failure(.type, "'in <string>' requires string as left operand, not \(element.typeName)")
      }
      try step(text.count / 4)
      return text.contains(part)
    case .dictionary(let members):
      guard let key = TemplateDictionary.Key(element) else {
        if element.isUndefined { return false }
        throw failure(.type, "unhashable type: '\(element.typeName)'")
      }
      return members[key] != nil
    case .undefined: return false
    case .loop, .sequence:
      for candidate in try elements(of: container) {
        if try isEqual(candidate, element) { return true }
      }
      return false
    default: throw failure(.type, "argument of type '\(container.typeName)' is not iterable")
    }
  }

  /// What a loop or a filter walks through.
  func elements(of value: TemplateValue) throws(TemplateError) -> [TemplateValue] {
    switch value {
    case .undefined: return []
    case .text(let text):
      try charge(8 * text.count)
      return text.units.map { .text(MarkedText(units: [$0])) }
    case .sequence(let elements, _): return elements
    case .dictionary(let members): return members.keys
    case .loop(let loop):
      _ = try hasElement(.max, of: loop)
      return loop.elements
    default: throw failure(.type, "'\(value.typeName)' object is not iterable")
    }
  }

  /// Python's `len`.
  func length(of value: TemplateValue) throws(TemplateError) -> Int {
    switch value {
    case .undefined: return 0
    case .text(let text): return text.count
    case .sequence(let elements, let kind) where kind != .generator: return elements.count
    case .dictionary(let members): return members.count
    case .loop: return try elements(of: value).count
    default: throw failure(.type, "object of type '\(value.typeName)' has no len()")
    }
  }
}
