extension TemplateEvaluator {
  /// How a statement ends.
  enum Flow {
    case normal
    case leaveLoop
    case continueLoop
  }

  func execute(_ body: [TemplateStatement]) throws(TemplateError) -> Flow {
    for statement in body {
      let flow = try execute(statement)
      guard case .normal = flow else { return flow }
    }
    return .normal
  }

  private func execute(_ statement: TemplateStatement) throws(TemplateError) -> Flow {
    try step()
    switch statement {
    case .text(let text): try write(text)
    case .output(let expression): try writeValue(of: expression)
    case .choice(let branches, let otherwise): return try choose(branches, otherwise)
    case .loop(let loop): try run(loop)
    case .set(let assignment): try assign(try evaluate(assignment.value), to: assignment.target)
    case .setBlock(let target, let filter, let body): return try setBlock(target, filter, body)
    case .macro(let name, let definition):
      try register(scope)
      scope.bind(name, to: .callable(.macro(definition, scope)))
    case .callBlock(let caller, let call): try callBlock(caller, call)
    case .filterBlock(let filter, let body): return try filterBlock(filter, body)
    case .with(let assignments, let body): return try with(assignments, body)
    case .scope(let body):
      return try nested { () throws(TemplateError) in
        try scoped { () throws(TemplateError) in try execute(body) }
      }
    case .leaveLoop: return .leaveLoop
    case .continueLoop: return .continueLoop
    }
    return .normal
  }

  private func writeValue(of expression: TemplateExpression) throws(TemplateError) {
    let value = try evaluate(expression)
    offset = expression.offset
    try write(try text(of: value))
  }

  private func choose(
    _ branches: [TemplateStatement.Branch], _ otherwise: [TemplateStatement]
  ) throws(TemplateError) -> Flow {
    try nested { () throws(TemplateError) in
      for branch in branches {
        if try evaluate(branch.test).isTrue { return try execute(branch.body) }
      }
      return try execute(otherwise)
    }
  }

  private func setBlock(
    _ target: TemplateTarget, _ filter: TemplateExpression?, _ body: [TemplateStatement]
  ) throws(TemplateError) -> Flow {
    let (text, flow) = try block(body)
    var value = TemplateValue.text(text)
    if let filter { value = try evaluate(filter, onBlock: value) }
    try assign(value, to: target)
    return flow
  }

  private func filterBlock(_ filter: TemplateExpression, _ body: [TemplateStatement]) throws(TemplateError) -> Flow {
    let (text, flow) = try block(body)
    let value = try evaluate(filter, onBlock: .text(text))
    try write(try self.text(of: value))
    return flow
  }

  private func block(_ body: [TemplateStatement]) throws(TemplateError) -> (MarkedText, Flow) {
    try nested { () throws(TemplateError) in
      var flow = Flow.normal
      let text = try captured { () throws(TemplateError) in
        try scoped { () throws(TemplateError) in flow = try execute(body) }
      }
      return (text, flow)
    }
  }

  /// A chain of filters whose innermost is given the block's text.
  private func evaluate(
    _ filter: TemplateExpression, onBlock text: TemplateValue
  ) throws(TemplateError) -> TemplateValue {
    let outer = blockText
    blockText = text
    defer { blockText = outer }
    return try evaluate(filter)
  }

  private func with(
    _ assignments: [TemplateStatement.Assignment], _ body: [TemplateStatement]
  ) throws(TemplateError) -> Flow {
    try nested { () throws(TemplateError) in
      var values: [TemplateValue] = []
      for assignment in assignments { values.append(try evaluate(assignment.value)) }
      return try scoped { () throws(TemplateError) in
        for (assignment, value) in zip(assignments, values) { try assign(value, to: assignment.target) }
        return try execute(body)
      }
    }
  }

  // MARK: Assignment

  func assign(_ value: TemplateValue, to target: TemplateTarget) throws(TemplateError) {
    switch target {
    case .name(let name):
      try checkNesting(value)
      scope.bind(name, to: value)
    case .attribute(let name, let attribute, let place):
      offset = place
      guard case .namespace(let namespace)? = scope.value(of: name) else {
        throw failure(.type, "cannot assign attribute on non-namespace object")
      }
      try checkNesting(value)
      try charge(8)
      namespace.members.set(.text(attribute), to: value)
    case .tuple(let targets, let place):
      offset = place
      let elements = try elements(of: value)
      guard elements.count == targets.count else {
        let amount = elements.count < targets.count ? "not enough" : "too many"
        throw failure(.type, "\(amount) values to unpack (expected \(targets.count), got \(elements.count))")
      }
      for (target, element) in zip(targets, elements) { try assign(element, to: target) }
    }
  }

  // MARK: Loops

  private func run(_ loop: LoopDefinition) throws(TemplateError) {
    let sequence = try evaluate(loop.sequence)
    offset = loop.sequence.offset
    try nested { () throws(TemplateError) in try run(loop, over: sequence, depth: 0, in: scope) }
  }

  /// Runs a loop's body for each element; `scope` is where the loop stands.
  func run(
    _ loop: LoopDefinition, over sequence: TemplateValue, depth: Int, in outer: TemplateScope
  ) throws(TemplateError) {
    let elements = try elements(of: sequence)
    let needsScope = loop.isRecursive || loop.condition != nil
    if needsScope { try register(outer) }
    let state = LoopState(loop, elements: elements, depth: depth, scope: needsScope ? outer : nil)
    // A loop that was asked about itself holds itself.
    defer { state.lastChanged = nil }
    var index = 0
    while try hasElement(index, of: state) {
      try step()
      state.index = index
      let flow = try scoped(parent: outer) { () throws(TemplateError) in
        scope.bind(TemplateParser.loopName, to: .loop(state))
        try assign(state.elements[index], to: loop.target)
        return try execute(loop.body)
      }
      if case .leaveLoop = flow { return }
      index += 1
    }
    if index == 0 {
      _ = try scoped(parent: outer) { () throws(TemplateError) in try execute(loop.otherwise) }
    }
  }

  /// Whether a loop has an element at an index. Its own condition is asked of as few elements as this takes, since what
  /// it says may change while the body runs.
  func hasElement(_ index: Int, of loop: LoopState) throws(TemplateError) -> Bool {
    while loop.elements.count <= index, let condition = loop.definition.condition, let scope = loop.scope,
      let element = loop.nextCandidate()
    {
      try step()
      let holds = try scoped(parent: scope) { () throws(TemplateError) in
        try assign(element, to: loop.definition.target)
        return try evaluate(condition).isTrue
      }
      if holds { loop.accept(element) }
    }
    return loop.elements.count > index
  }
}
