/// A value while a template is rendered: Python's types as far as templates see them.
///
/// Lists and dictionaries are values: nothing in a sandboxed template changes one that something else holds.
enum TemplateValue {
  /// What is not there, with the words that say so where it is used.
  case undefined(String)
  case none
  case bool(Bool)
  case integer(Int)
  case float(Double)
  case text(MarkedText)
  case sequence([TemplateValue], SequenceKind)
  indirect case dictionary(TemplateDictionary)
  case namespace(TemplateNamespace)
  case loop(LoopState)
  indirect case callable(TemplateCallable)

  /// Python's types that hold elements in order.
  enum SequenceKind: String {
    case list
    case tuple
    case range
    case keys = "dict_keys"
    case values = "dict_values"
    case items = "dict_items"
    /// What is made while it is walked through: always true, without length and index.
    case generator
  }

  static func list(_ elements: [TemplateValue]) -> TemplateValue { .sequence(elements, .list) }
  static func tuple(_ elements: [TemplateValue]) -> TemplateValue { .sequence(elements, .tuple) }
  static func text(_ text: String) -> TemplateValue { .text(MarkedText(text)) }

  var isUndefined: Bool {
    if case .undefined = self { true } else { false }
  }

  var isTrue: Bool {
    switch self {
    case .undefined, .none: false
    case .bool(let value): value
    case .integer(let value): value != 0
    case .float(let value): value != 0
    case .text(let text): !text.isEmpty
    case .sequence(let elements, let kind): kind == .generator || !elements.isEmpty
    case .dictionary(let members): members.count > 0
    case .namespace, .callable, .loop: true
    }
  }

  /// The name of Python's type.
  var typeName: String {
    switch self {
    case .undefined: "Undefined"
    case .none: "NoneType"
    case .bool: "bool"
    case .integer: "int"
    case .float: "float"
    case .text(let text): text.isMarkup ? "Markup" : "str"
    case .sequence(_, let kind): kind.rawValue
    case .dictionary: "dict"
    case .namespace: "Namespace"
    case .loop: "LoopContext"
    case .callable(let callable): callable.typeName
    }
  }

  /// What an error says of the value: "'str object'".
  var description: String {
    if case .none = self { return "None" }
    return "'\(typeName) object'"
  }

  /// Bools count as integers, as in Python.
  var asInteger: Int? {
    switch self {
    case .bool(let value): value ? 1 : 0
    case .integer(let value): value
    default: nil
    }
  }

  var asDouble: Double? {
    if case .float(let value) = self { return value }
    return asInteger.map(Double.init)
  }

  var asText: MarkedText? {
    if case .text(let text) = self { text } else { nil }
  }
}

/// The namespace that `namespace()` makes: the one thing that a template can change from inside a loop.
final class TemplateNamespace {
  var members = TemplateDictionary()
}

/// A `for` loop that runs.
final class LoopState {
  let definition: LoopDefinition
  /// What the loop walks through: elements of which its own condition has been asked, and what is still to be asked.
  private(set) var elements: [TemplateValue]
  private var candidates: ArraySlice<TemplateValue>
  let depth: Int
  var index = 0
  var lastChanged: [TemplateValue]?
  /// Where the loop stands, for one that is recursive or has a condition.
  let scope: TemplateScope?

  init(_ definition: LoopDefinition, elements: [TemplateValue], depth: Int, scope: TemplateScope?) {
    self.definition = definition
    self.elements = definition.condition == nil ? elements : []
    candidates = definition.condition == nil ? [] : elements[...]
    self.depth = depth
    self.scope = scope
  }

  func nextCandidate() -> TemplateValue? { candidates.popFirst() }
  func accept(_ element: TemplateValue) { elements.append(element) }

  /// All that the loop holds.
  var parts: [TemplateValue] { elements + candidates + (lastChanged ?? []) }
}

/// What can be called.
enum TemplateCallable {
  case macro(MacroDefinition, TemplateScope)
  case function(TemplateFunction)
  case textMethod(TextMethod, MarkedText)
  case sequenceMethod(SequenceMethod, [TemplateValue])
  case dictionaryMethod(DictionaryMethod, TemplateDictionary)
  case numberMethod(NumberMethod, Double)
  case loopMethod(LoopMethod, LoopState)
  case cycler(Cycler, method: CyclerMethod)
  case joiner(Joiner)

  var typeName: String {
    switch self {
    case .macro: "Macro"
    case .function(.range), .function(.dict), .function(.namespace): "type"
    case .function: "function"
    case .textMethod, .sequenceMethod, .dictionaryMethod, .numberMethod: "builtin_function_or_method"
    case .loopMethod, .cycler(_, .next), .cycler(_, .reset): "method"
    case .cycler: "Cycler"
    case .joiner: "Joiner"
    }
  }
}

/// What `cycler()` makes.
final class Cycler {
  let elements: [TemplateValue]
  var position = 0
  init(_ elements: [TemplateValue]) { self.elements = elements }
}

/// What a cycler can be asked: itself, or one of its members.
enum CyclerMethod: String {
  case itself
  case next
  case reset
}

/// What `joiner()` makes: nothing at the first call, the separator at every other.
final class Joiner {
  let separator: TemplateValue
  var isUsed = false
  init(_ separator: TemplateValue) { self.separator = separator }
}

/// Functions that every template sees.
enum TemplateFunction: String, CaseIterable {
  case range
  case dict
  case namespace
  case cycler
  case joiner
  case raiseException = "raise_exception"
  case strftimeNow = "strftime_now"
}

enum LoopMethod: String {
  case cycle
  case changed
  /// The loop itself, called with a sequence to run its body for.
  case recurse
}
