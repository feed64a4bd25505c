/// Renders one template once.
final class TemplateEvaluator {
  let names: [String]
  let limits: TemplateLimits
  let time: TemplateTime?
  /// What was written, with marks; a macro's or block's own text while one of these runs.
  var output: [UInt32] = []
  var scope: TemplateScope
  /// Where in the source we are, for errors.
  var offset = 0
  private var stepsLeft: Int
  private(set) var allocationLeft: Int
  private let allocationLimit: Int
  private var depth = 0
  private var calls = 0
  /// What may hold itself through what it holds; emptied at the end.
  private var scopes: [TemplateScope] = []
  private var namespaces: [TemplateNamespace] = []
  /// The text that a filter or set block's filter is given.
  var blockText: TemplateValue = .none

  init(names: [String], limits: TemplateLimits, time: TemplateTime?, variables: [(String, TemplateValue)]) {
    self.names = names
    self.limits = limits
    self.time = time
    stepsLeft = limits.steps
    let size = variables.reduce(0) { $0 + $1.1.size }
    allocationLimit = limits.allocated + limits.allocatedPerInput * size
    allocationLeft = allocationLimit
    let root = TemplateScope(parent: nil)
    var values: [[UInt8]: TemplateValue] = [:]
    for function in TemplateFunction.allCases { values[Array(function.rawValue.utf8)] = .callable(.function(function)) }
    for (name, value) in variables { values[Array(name.utf8)] = value }
    for (number, name) in names.enumerated() {
      if let value = values[Array(name.utf8)] { root.bind(number, to: value) }
    }
    scope = TemplateScope(parent: root)
    // Most of what is written are the messages.
    output.reserveCapacity(min(size + size / 8, limits.output))
  }

  func render(_ body: [TemplateStatement]) throws(TemplateError) -> [UInt32] {
    defer {
      for scope in scopes { scope.clear() }
      for namespace in namespaces { namespace.members.removeAll() }
    }
    _ = try execute(body)
    return output
  }

  // MARK: Limits

  func failure(_ kind: TemplateError.Kind, _ message: String) -> TemplateError {
    TemplateError(kind, message, offset: offset)
  }

  func step(_ count: Int = 1) throws(TemplateError) {
    stepsLeft -= count
    if stepsLeft < 0 { throw failure(.limit, "the template takes more than \(limits.steps) steps") }
  }

  /// Counts scalars that are about to be made, or eight for an element.
  func charge(_ scalars: Int) throws(TemplateError) {
    guard scalars <= allocationLeft else { throw allocationFailure }
    allocationLeft -= scalars
  }

  /// `charge` for a product that may not even fit an integer.
  func charge(_ scalars: Int, times count: Int) throws(TemplateError) {
    let (product, overflow) = scalars.multipliedReportingOverflow(by: count)
    guard !overflow else { throw allocationFailure }
    try charge(product)
  }

  var allocationFailure: TemplateError {
    failure(.limit, "the template makes more than \(allocationLimit) characters of text")
  }

  func nested<Result>(_ body: () throws(TemplateError) -> Result) throws(TemplateError) -> Result {
    guard depth < limits.depth else { throw failure(.limit, "the template goes deeper than \(limits.depth) levels") }
    depth += 1
    defer { depth -= 1 }
    return try body()
  }

  /// Runs the body of a macro, of a caller or of a recursive loop.
  func called<Result>(_ body: () throws(TemplateError) -> Result) throws(TemplateError) -> Result {
    guard calls < limits.calls else {
      throw failure(.limit, "the template calls itself more than \(limits.calls) levels deep")
    }
    calls += 1
    defer { calls -= 1 }
    return try body()
  }

  /// Empties the scope and those around it at the end.
  func register(_ scope: TemplateScope) throws(TemplateError) {
    var current: TemplateScope? = scope
    while let scope = current, scopes.last !== scope {
      try charge(16)
      scopes.append(scope)
      current = scope.parent
    }
  }

  func makeNamespace() throws(TemplateError) -> TemplateNamespace {
    try charge(64)
    let namespace = TemplateNamespace()
    namespaces.append(namespace)
    return namespace
  }

  /// Refuses a value of so many levels that letting go of it would take the stack.
  func checkNesting(_ value: TemplateValue, depth: Int = 0) throws(TemplateError) {
    guard depth < Self.nestingLimit else {
      throw failure(.limit, "values nested deeper than \(Self.nestingLimit) levels")
    }
    let parts: [TemplateValue]
    switch value {
    case .sequence(let elements, _): parts = elements
    case .dictionary(let members): parts = members.values
    case .loop(let loop), .callable(.loopMethod(_, let loop)): parts = loop.parts
    case .callable(.sequenceMethod(_, let elements)): parts = elements
    case .callable(.dictionaryMethod(_, let members)): parts = members.values
    case .callable(.cycler(let cycler, _)): parts = cycler.elements
    case .callable(.joiner(let joiner)): parts = [joiner.separator]
    default: return
    }
    try step(parts.count)
    for part in parts { try checkNesting(part, depth: depth + 1) }
  }

  // MARK: Output

  func write(_ text: MarkedText) throws(TemplateError) {
    try charge(text.count)
    guard output.count + text.count <= limits.output else {
      throw failure(.limit, "the template writes more than \(limits.output) characters")
    }
    output += text.units
  }

  /// What a body writes, as text.
  func captured(_ body: () throws(TemplateError) -> Void) throws(TemplateError) -> MarkedText {
    let outer = output
    output = []
    defer { output = outer }
    try body()
    return MarkedText(units: output)
  }

  /// Runs a body whose names end with it.
  func scoped<Result>(
    parent: TemplateScope? = nil, _ body: () throws(TemplateError) -> Result
  ) throws(TemplateError) -> Result {
    let outer = scope
    scope = TemplateScope(parent: parent ?? outer)
    defer { scope = outer }
    return try body()
  }
}
