extension TemplateEvaluator {
  func call(_ callee: TemplateValue, _ arguments: TemplateArguments) throws(TemplateError) -> TemplateValue {
    switch callee {
    case .undefined(let message): throw failure(.undefined, message)
    case .loop(let loop): return .text(try recurse(loop, arguments))
    case .callable(let callable): return try call(callable, arguments)
    default: throw failure(.type, "'\(callee.typeName)' object is not callable")
    }
  }

  private func call(_ callable: TemplateCallable, _ arguments: TemplateArguments) throws(TemplateError) -> TemplateValue
  {
    switch callable {
    case .macro(let definition, let scope): return .text(try call(definition, in: scope, arguments))
    case .function(let function): return try call(function, arguments)
    case .textMethod(let method, let text): return try call(method, of: text, arguments)
    case .sequenceMethod(let method, let elements): return try call(method, of: elements, arguments)
    case .dictionaryMethod(let method, let members): return try call(method, of: members, arguments)
    case .numberMethod(let method, let number):
      _ = try bind(arguments, [], of: method.rawValue)
      return .bool(number.isFinite && number == number.rounded())
    case .loopMethod(let method, let loop): return try call(method, of: loop, arguments)
    case .cycler(let cycler, let method):
      let current = cycler.elements[cycler.position]
      guard method != .itself else { throw failure(.type, "'Cycler' object is not callable") }
      cycler.position = method == .reset ? 0 : (cycler.position + 1) % cycler.elements.count
      return method == .reset ? .none : current
    case .joiner(let joiner):
      if joiner.isUsed { return joiner.separator }
      joiner.isUsed = true
      return .text("")
    }
  }

  /// The values of a function's parameters in their order, nil where none was given.
  func bind(
    _ arguments: TemplateArguments, _ parameters: [String], required: Int = 0, of function: String
  ) throws(TemplateError) -> [TemplateValue?] {
    guard arguments.positional.count <= parameters.count else {
      throw failure(
        .type, "\(function)() takes at most \(parameters.count) arguments (\(arguments.positional.count) given)")
    }
    var values: [TemplateValue?] = arguments.positional
    values += [TemplateValue?](repeating: nil, count: parameters.count - values.count)
    for (name, value) in arguments.keywords {
      guard let index = parameters.firstIndex(of: name) else {
        throw failure(.type, "\(function)() got an unexpected keyword argument '\(name)'")
      }
      guard values[index] == nil else {
        throw failure(.type, "\(function)() got multiple values for argument '\(name)'")
      }
      values[index] = value
    }
    for index in 0..<required where values[index] == nil {
      throw failure(.type, "\(function)() missing required argument '\(parameters[index])'")
    }
    return values
  }

  /// An argument that must be an integer.
  func integer(_ value: TemplateValue?, default fallback: Int) throws(TemplateError) -> Int {
    guard let value else { return fallback }
    if let integer = value.asInteger { return integer }
    if case .undefined(let message) = value { throw failure(.undefined, message) }
    throw failure(.type, "'\(value.typeName)' object cannot be interpreted as an integer")
  }

  /// An argument that must be a string.
  func string(_ value: TemplateValue?, default fallback: MarkedText = "") throws(TemplateError) -> MarkedText {
    guard let value else { return fallback }
    if case .text(let text) = value { return text }
    if case .undefined(let message) = value { throw failure(.undefined, message) }
    throw failure(.type, "must be str, not \(value.typeName)")
  }

  // MARK: Macros

  private func call(
    _ macro: MacroDefinition, in definingScope: TemplateScope, _ arguments: TemplateArguments
  ) throws(TemplateError) -> MarkedText {
    var arguments = arguments
    let place = offset
    return try called { () throws(TemplateError) in
      try nested { () throws(TemplateError) in
        try captured { () throws(TemplateError) in
          try scoped(parent: definingScope) { () throws(TemplateError) in
            try bindParameters(of: macro, &arguments, at: place)
            _ = try execute(macro.body)
          }
        }
      }
    }
  }

  private func bindParameters(
    of macro: MacroDefinition, _ arguments: inout TemplateArguments, at place: Int
  ) throws(TemplateError) {
    try charge(16 * (macro.parameters.count + 1))
    var isMissing: [MacroDefinition.Parameter] = []
    for (index, parameter) in macro.parameters.enumerated() {
      if index < arguments.positional.count {
        scope.bind(parameter.name, to: arguments.positional[index])
      } else if let value = arguments.takeKeyword(names[parameter.name]) {
        scope.bind(parameter.name, to: value)
      } else {
        isMissing.append(parameter)
      }
    }
    // A default may speak of the parameters before it.
    for parameter in isMissing {
      let value = try parameter.defaultValue.map { (value) throws(TemplateError) in try evaluate(value) }
      scope.bind(parameter.name, to: value ?? .undefined("parameter '\(names[parameter.name])' was not provided"))
    }
    offset = place
    let caller = macro.takesCaller ? arguments.takeKeyword("caller") : nil
    if macro.takesCaller, !macro.parameters.contains(where: { $0.name == TemplateParser.callerName }) {
      scope.bind(TemplateParser.callerName, to: caller ?? .undefined("No caller defined"))
    }
    if macro.takesKeywords {
      var members = TemplateDictionary()
      for (name, value) in arguments.keywords { members.set(name, to: value) }
      scope.bind(TemplateParser.kwargsName, to: .dictionary(members))
    } else if let keyword = arguments.keywords.first {
      throw failure(.type, "macro '\(macro.name)' takes no keyword argument '\(keyword.name)'")
    }
    if macro.takesVariadic {
      let rest = Array(arguments.positional.dropFirst(macro.parameters.count))
      scope.bind(TemplateParser.varargsName, to: .tuple(rest))
    } else if arguments.positional.count > macro.parameters.count {
      throw failure(.type, "macro '\(macro.name)' takes not more than \(macro.parameters.count) argument(s)")
    }
  }

  /// A call whose macro may call the block that follows.
  func callBlock(_ caller: MacroDefinition, _ call: TemplateExpression) throws(TemplateError) {
    guard case .call(let base, let list) = call.kind else { return }
    try register(scope)
    let callee = try evaluate(base)
    var arguments = try arguments(list)
    offset = call.offset
    arguments.keywords.append(("caller", .callable(.macro(caller, scope))))
    try write(try text(of: try self.call(callee, arguments)))
  }

  // MARK: Loops

  private func recurse(_ loop: LoopState, _ arguments: TemplateArguments) throws(TemplateError) -> MarkedText {
    guard loop.definition.isRecursive, let outer = loop.scope else {
      throw failure(.type, "the loop must have the 'recursive' marker to be called recursively")
    }
    let sequence = try bind(arguments, ["iterable"], required: 1, of: "loop")[0] ?? .none
    return try called { () throws(TemplateError) in
      try nested { () throws(TemplateError) in
        try captured { () throws(TemplateError) in
          try run(loop.definition, over: sequence, depth: loop.depth + 1, in: outer)
        }
      }
    }
  }

  private func call(
    _ method: LoopMethod, of loop: LoopState, _ arguments: TemplateArguments
  ) throws(TemplateError) -> TemplateValue {
    if let keyword = arguments.keywords.first {
      throw failure(.type, "loop.\(method.rawValue)() got an unexpected keyword argument '\(keyword.name)'")
    }
    let values = arguments.positional
    switch method {
    case .cycle:
      guard !values.isEmpty else { throw failure(.type, "no items for cycling given") }
      return values[loop.index % values.count]
    case .changed, .recurse:
      for value in values { try checkNesting(value) }
      if let last = loop.lastChanged, try isEqual(.tuple(last), .tuple(values)) { return .bool(false) }
      loop.lastChanged = values
      return .bool(true)
    }
  }

  // MARK: Functions

  private func call(_ function: TemplateFunction, _ arguments: TemplateArguments) throws(TemplateError) -> TemplateValue
  {
    switch function {
    case .range: return try range(arguments)
    case .dict: return .dictionary(try members(of: arguments, function: "dict"))
    case .namespace:
      let namespace = try makeNamespace()
      let members = try members(of: arguments, function: "namespace")
      try checkNesting(.dictionary(members))
      namespace.members = members
      return .namespace(namespace)
    case .cycler:
      guard !arguments.positional.isEmpty else { throw failure(.type, "at least one item has to be provided") }
      return .callable(.cycler(Cycler(arguments.positional), method: .itself))
    case .joiner:
      let separator = try bind(arguments, ["sep"], of: "joiner")[0]
      return .callable(.joiner(Joiner(separator ?? .text(", "))))
    case .raiseException:
      let message = try bind(arguments, ["message"], required: 1, of: "raise_exception")[0] ?? .none
      throw failure(.raised, try text(of: message).string)
    case .strftimeNow:
      let format = try string(bind(arguments, ["format"], required: 1, of: "strftime_now")[0])
      guard let time else { throw failure(.type, "strftime_now: no time was given") }
      let text = MarkedText(time.formatted(format.string))
      try charge(text.count)
      return .text(text)
    }
  }

  /// Members of a dictionary from at most one mapping or list of pairs, and from keywords.
  private func members(of arguments: TemplateArguments, function: String) throws(TemplateError) -> TemplateDictionary {
    guard arguments.positional.count <= 1 else {
      throw failure(.type, "\(function) expected at most 1 argument, got \(arguments.positional.count)")
    }
    var members = TemplateDictionary()
    switch arguments.positional.first {
    case .dictionary(let given): members = given
    case let pairs?:
      for pair in try elements(of: pairs) {
        let parts = try elements(of: pair)
        guard parts.count == 2 else { throw failure(.type, "\(function) needs pairs of key and value") }
        try set(parts[0], to: parts[1], in: &members)
      }
    case nil: break
    }
    try charge(24 * (members.count + arguments.keywords.count))
    for (name, value) in arguments.keywords { members.set(name, to: value) }
    return members
  }

  private static let rangeLimit = 100_000

  private func range(_ arguments: TemplateArguments) throws(TemplateError) -> TemplateValue {
    guard arguments.keywords.isEmpty, (1...3).contains(arguments.positional.count) else {
      throw failure(.type, "range takes from 1 to 3 integers")
    }
    var bounds: [Int] = []
    for value in arguments.positional { bounds.append(try integer(value, default: 0)) }
    let start = bounds.count > 1 ? bounds[0] : 0
    let stop = bounds.count > 1 ? bounds[1] : bounds[0]
    let step = bounds.count > 2 ? bounds[2] : 1
    guard step != 0 else { throw failure(.type, "range() arg 3 must not be zero") }
    var elements: [TemplateValue] = []
    var next = start
    while step > 0 ? next < stop : next > stop {
      guard elements.count < Self.rangeLimit else {
        throw failure(.limit, "a range of more than \(Self.rangeLimit) numbers")
      }
      elements.append(.integer(next))
      let (sum, overflow) = next.addingReportingOverflow(step)
      if overflow { break }
      next = sum
    }
    try charge(8 * elements.count)
    return .sequence(elements, .range)
  }
}
