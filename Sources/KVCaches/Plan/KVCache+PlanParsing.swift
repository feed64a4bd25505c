extension KVCache.Plan {
  /// Reads a cache specification: a preset such as `streaming-llm:4+1020`, or stages such as `sinks:4,window:1020`.
  ///
  /// Options follow a name in brackets: `name:argument[option=value,option=value]`. Nothing but the text is read.
  ///
  /// - Parameter resolver: says what the names in the specification stand for.
  /// - Throws: `KVCacheError` that quotes the specification and lists what is known.
  public init(_ specification: String, resolver: PlanResolver = .none) throws(KVCacheError) {
    let items = try Self.split(specification)
    if items.count == 1, let preset = Preset.named(items[0].name) {
      let parameters = try items[0].parameters(knownOptions: preset.options)
      var division: HeadDivision?
      if let divide = preset.division { division = try divide(parameters, resolver) }
      self.init(stages: try preset.stages(parameters), division: division)
      return
    }
    var stages: [any StageSpecification] = []
    for item in items {
      guard let registration = StageRegistry.named(item.name) else {
        let reason =
          item.name == "auto"
          ? "what is chosen for a model is taken by run, chat, serve and inspect; see 'sluice inspect --cache' for the plan"
          : Preset.named(item.name) == nil
          ? "unknown cache '\(item.name)'; known are \(Self.knownForms)"
          : "the preset '\(item.name)' cannot be one of several stages"
        throw .badSpecification(specification, reason)
      }
      stages.append(try registration.make(item.parameters(knownOptions: registration.options)))
    }
    if let problem = Self.problem(with: stages) { throw .badSpecification(specification, problem) }
    self.init(stages: stages)
  }

  /// The written forms of all presets and stages, for messages and help.
  package static var knownForms: String {
    (Preset.all.map(\.form) + StageRegistry.all.map(\.form)).joined(separator: ", ")
  }

  /// One name with its argument and options, as written.
  private struct Item {
    var text: Substring
    var name: Substring
    var argument: Substring?
    var options: Substring?

    func parameters(knownOptions: [String]) throws(KVCacheError) -> StageParameters {
      var values: [String: Substring] = [:]
      for option in (options ?? "").split(separator: ",", omittingEmptySubsequences: options?.isEmpty ?? true) {
        let pair = option.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let key = String(pair[0])
        guard knownOptions.contains(key) else {
          let known = knownOptions.isEmpty ? "it has none" : "known are \(knownOptions.joined(separator: ", "))"
          throw .badSpecification(String(text), "unknown option '\(key)'; \(known)")
        }
        guard pair.count == 2, !pair[1].isEmpty else {
          throw .badSpecification(String(text), "option '\(key)' needs a value")
        }
        guard values.updateValue(pair[1], forKey: key) == nil else {
          throw .badSpecification(String(text), "option '\(key)' stands twice")
        }
      }
      return StageParameters(text: String(text), argument: argument, options: values)
    }
  }

  /// Splits at commas outside brackets.
  private static func split(_ specification: String) throws(KVCacheError) -> [Item] {
    var items: [Item] = []
    var rest = specification[...]
    while true {
      let name = rest.prefix { !":[,".contains($0) }
      guard !name.isEmpty else { throw .badSpecification(specification, "a name is missing") }
      var item = Item(text: name, name: name)
      rest = rest.dropFirst(name.count)
      if rest.first == ":" {
        let argument = rest.dropFirst().prefix { !"[,".contains($0) }
        item.argument = argument
        rest = rest.dropFirst(argument.count + 1)
      }
      if rest.first == "[" {
        guard let end = rest.firstIndex(of: "]") else {
          throw .badSpecification(specification, "a bracket is not closed")
        }
        item.options = rest[rest.index(after: rest.startIndex)..<end]
        rest = rest[rest.index(after: end)...]
      }
      item.text = specification[name.startIndex..<rest.startIndex]
      items.append(item)
      if rest.isEmpty { return items }
      guard rest.first == "," else {
        throw .badSpecification(specification, "expected a comma before '\(rest)'")
      }
      rest = rest.dropFirst()
    }
  }
}
