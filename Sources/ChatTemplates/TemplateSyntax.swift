/// An expression of a template.
final class TemplateExpression: Sendable {
  enum Literal: Sendable {
    case none
    case bool(Bool)
    case integer(Int)
    case float(Double)
    case text(MarkedText)
  }

  enum Unary: Sendable {
    case minus
    case plus
    case not
  }

  enum Binary: String, Sendable {
    case add = "+"
    case subtract = "-"
    case multiply = "*"
    case divide = "/"
    case floorDivide = "//"
    case modulo = "%"
    case power = "**"
  }

  enum Comparison: String, Sendable {
    case equal = "=="
    case notEqual = "!="
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="
    case isIn = "in"
    case isNotIn = "not in"
  }

  struct Operand: Sendable {
    let comparison: Comparison
    let value: TemplateExpression
  }

  struct Pair: Sendable {
    let key: TemplateExpression
    let value: TemplateExpression
  }

  struct Arguments: Sendable {
    struct Keyword: Sendable {
      let name: String
      let value: TemplateExpression
    }
    var positional: [TemplateExpression] = []
    var keywords: [Keyword] = []
    var unpacked: TemplateExpression?
    var unpackedKeywords: TemplateExpression?

    var isEmpty: Bool { positional.isEmpty && keywords.isEmpty && unpacked == nil && unpackedKeywords == nil }

    var children: [TemplateExpression] {
      positional + keywords.map(\.value) + [unpacked, unpackedKeywords].compactMap { $0 }
    }
  }

  enum Kind: Sendable {
    case literal(Literal)
    /// A variable, by its number in the template's table of names.
    case name(Int)
    case list([TemplateExpression])
    case tuple([TemplateExpression])
    case dictionary([Pair])
    case unary(Unary, TemplateExpression)
    case binary(Binary, TemplateExpression, TemplateExpression)
    case and(TemplateExpression, TemplateExpression)
    case or(TemplateExpression, TemplateExpression)
    case concatenation([TemplateExpression])
    case comparison(TemplateExpression, [Operand])
    case conditional(test: TemplateExpression, then: TemplateExpression, otherwise: TemplateExpression?)
    case attribute(TemplateExpression, MarkedText)
    case item(TemplateExpression, TemplateExpression)
    case slice(TemplateExpression, start: TemplateExpression?, stop: TemplateExpression?, step: TemplateExpression?)
    case call(TemplateExpression, Arguments)
    /// Nil is the text of the block that the filter belongs to.
    case filter(TemplateExpression?, name: String, TemplateFilter?, Arguments)
    case test(TemplateExpression, name: String, TemplateTest?, Arguments)
  }

  let kind: Kind
  let offset: Int
  /// How many expressions lie inside one another here.
  let depth: Int

  init(_ kind: Kind, offset: Int, depth: Int) {
    self.kind = kind
    self.offset = offset
    self.depth = depth
  }
}

/// What a value is assigned to.
indirect enum TemplateTarget: Sendable {
  case name(Int)
  /// An attribute of a namespace.
  case attribute(Int, MarkedText, offset: Int)
  case tuple([TemplateTarget], offset: Int)
}

/// A macro, or the body of a call block.
final class MacroDefinition: Sendable {
  struct Parameter: Sendable {
    let name: Int
    let defaultValue: TemplateExpression?
  }

  let name: String
  let parameters: [Parameter]
  let body: [TemplateStatement]
  let offset: Int
  /// Whether it speaks of `varargs`, `kwargs` and `caller`: only then may it be given such.
  let takesVariadic: Bool
  let takesKeywords: Bool
  let takesCaller: Bool

  init(
    name: String, parameters: [Parameter], body: [TemplateStatement], offset: Int, takesVariadic: Bool,
    takesKeywords: Bool, takesCaller: Bool
  ) {
    self.name = name
    self.parameters = parameters
    self.body = body
    self.offset = offset
    self.takesVariadic = takesVariadic
    self.takesKeywords = takesKeywords
    self.takesCaller = takesCaller
  }
}

/// A `for` loop.
final class LoopDefinition: Sendable {
  let target: TemplateTarget
  let sequence: TemplateExpression
  let condition: TemplateExpression?
  let isRecursive: Bool
  let body: [TemplateStatement]
  let otherwise: [TemplateStatement]
  let offset: Int

  init(
    target: TemplateTarget, sequence: TemplateExpression, condition: TemplateExpression?, isRecursive: Bool,
    body: [TemplateStatement], otherwise: [TemplateStatement], offset: Int
  ) {
    self.target = target
    self.sequence = sequence
    self.condition = condition
    self.isRecursive = isRecursive
    self.body = body
    self.otherwise = otherwise
    self.offset = offset
  }
}

/// A statement of a template.
indirect enum TemplateStatement: Sendable {
  struct Branch: Sendable {
    let test: TemplateExpression
    let body: [TemplateStatement]
  }
  struct Assignment: Sendable {
    let target: TemplateTarget
    let value: TemplateExpression
  }

  case text(MarkedText)
  case output(TemplateExpression)
  case choice([Branch], otherwise: [TemplateStatement])
  case loop(LoopDefinition)
  case set(Assignment)
  case setBlock(TemplateTarget, filter: TemplateExpression?, [TemplateStatement])
  case macro(Int, MacroDefinition)
  case callBlock(MacroDefinition, call: TemplateExpression)
  case filterBlock(TemplateExpression, [TemplateStatement])
  case with([Assignment], [TemplateStatement])
  /// A scope of its own: `generation`, which marks an answer for training, and a block without inheritance.
  case scope([TemplateStatement])
  case leaveLoop(offset: Int)
  case continueLoop(offset: Int)
}
