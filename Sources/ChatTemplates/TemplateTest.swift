/// What can follow `is`, by Jinja2's names.
enum TemplateTest: String {
  case defined, undefined, none, boolean, integer, float, number, string, mapping, sequence, iterable, callable
  case isTrue = "true"
  case isFalse = "false"
  case odd, even, divisibleby, sameas, escaped, lower, upper, filter, test
  case isIn = "in"
  case eq, equalto, ne, lt, lessthan, le, gt, greaterthan, ge
  case equalSign = "=="
  case notEqualSign = "!="
  case lessSign = "<"
  case lessOrEqualSign = "<="
  case greaterSign = ">"
  case greaterOrEqualSign = ">="

  var comparison: TemplateExpression.Comparison? {
    switch self {
    case .eq, .equalto, .equalSign: .equal
    case .ne, .notEqualSign: .notEqual
    case .lt, .lessthan, .lessSign: .less
    case .le, .lessOrEqualSign: .lessOrEqual
    case .gt, .greaterthan, .greaterSign: .greater
    case .ge, .greaterOrEqualSign: .greaterOrEqual
    case .isIn: .isIn
    default: nil
    }
  }
}

extension TemplateEvaluator {
  func apply(_ test: TemplateTest, to value: TemplateValue, _ arguments: TemplateArguments) throws(TemplateError)
    -> Bool
  {
    if let comparison = test.comparison {
      let other = try bind(arguments, ["other"], required: 1, of: test.rawValue)[0] ?? .none
      return try holds(comparison, value, other)
    }
    switch test {
    case .divisibleby:
      let divisor = try bind(arguments, ["num"], required: 1, of: "divisibleby")[0] ?? .none
      return try isEqual(try apply(.modulo, value, divisor), .integer(0))
    case .sameas:
      return Self.isSame(value, try bind(arguments, ["other"], required: 1, of: "sameas")[0] ?? .none)
    default: _ = try bind(arguments, [], of: test.rawValue)
    }
    switch test {
    case .odd: return try isEqual(try apply(.modulo, value, .integer(2)), .integer(1))
    case .even: return try isEqual(try apply(.modulo, value, .integer(2)), .integer(0))
    case .lower: return try text(of: value).isLowercase
    case .upper: return try text(of: value).isUppercase
    case .filter: return TemplateFilter(rawValue: try string(value).string) != nil
    case .test: return TemplateTest(rawValue: try string(value).string) != nil
    default: return Self.hasType(test, value)
    }
  }

  private static func hasType(_ test: TemplateTest, _ value: TemplateValue) -> Bool {
    switch (test, value) {
    case (.defined, _): !value.isUndefined
    case (.undefined, .undefined), (.none, .none): true
    case (.boolean, .bool), (.integer, .integer), (.float, .float), (.string, .text), (.mapping, .dictionary): true
    case (.isTrue, .bool(let value)): value
    case (.isFalse, .bool(let value)): !value
    case (.number, .bool), (.number, .integer), (.number, .float): true
    case (.iterable, .undefined), (.iterable, .text), (.iterable, .dictionary), (.iterable, .sequence): true
    case (.iterable, .loop): true
    case (.sequence, .undefined), (.sequence, .text), (.sequence, .dictionary): true
    case (.sequence, .sequence(_, let kind)): kind == .list || kind == .tuple || kind == .range
    case (.callable, .callable(.cycler(_, .itself))): false
    case (.callable, .callable), (.callable, .loop), (.callable, .undefined): true
    case (.escaped, .text(let text)): text.isMarkup
    default: false
    }
  }

  /// Python's `is`, for what has one object only.
  private static func isSame(_ a: TemplateValue, _ b: TemplateValue) -> Bool {
    switch (a, b) {
    case (.none, .none): true
    case (.bool(let a), .bool(let b)): a == b
    case (.integer(let a), .integer(let b)): a == b && (-5...256).contains(a)
    case (.text(let a), .text(let b)): a == b
    case (.namespace(let a), .namespace(let b)): a === b
    default: false
    }
  }
}
