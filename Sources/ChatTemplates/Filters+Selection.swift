extension TemplateEvaluator {
  /// `map`, `select`, `reject` and their forms for attributes.
  func applySelection(
    _ filter: TemplateFilter, to value: TemplateValue, _ arguments: TemplateArguments
  ) throws(TemplateError) -> TemplateValue {
    guard value.isTrue else { return .sequence([], .generator) }
    let elements = try elements(of: value)
    try charge(8 * elements.count)
    if filter == .map { return .sequence(try mapped(elements, arguments), .generator) }
    let looksAtAttribute = filter == .selectattr || filter == .rejectattr
    let keeps = filter == .select || filter == .selectattr
    var rest = arguments
    var path: TemplateValue?
    if looksAtAttribute {
      guard !rest.positional.isEmpty else { throw failure(.type, "missing parameter for attribute name") }
      path = rest.positional.removeFirst()
    }
    var test: TemplateTest?
    if !rest.positional.isEmpty {
      let name = try string(rest.positional.removeFirst()).string
      test = TemplateTest(rawValue: name)
      guard test != nil else { throw failure(.type, "no test is called '\(name)'") }
    }
    var kept: [TemplateValue] = []
    for element in elements {
      try step()
      let candidate = try path.map { (path) throws(TemplateError) in try attribute(path: path, of: element) } ?? element
      let holds =
        try test.map { (test) throws(TemplateError) in try apply(test, to: candidate, rest) } ?? candidate.isTrue
      if holds == keeps { kept.append(element) }
    }
    return .sequence(kept, .generator)
  }

  private func mapped(
    _ elements: [TemplateValue], _ arguments: TemplateArguments
  ) throws(TemplateError) -> [TemplateValue] {
    var arguments = arguments
    var results: [TemplateValue] = []
    if arguments.positional.isEmpty, let path = arguments.takeKeyword("attribute") {
      let fallback = arguments.takeKeyword("default") ?? .none
      if let keyword = arguments.keywords.first {
        throw failure(.type, "unexpected keyword argument '\(keyword.name)'")
      }
      for element in elements {
        try step()
        results.append(try attribute(path: path, of: element, default: fallback))
      }
      return results
    }
    guard !arguments.positional.isEmpty else { throw failure(.type, "map requires a filter argument") }
    let name = try string(arguments.positional.removeFirst()).string
    guard let filter = TemplateFilter(rawValue: name) else { throw failure(.type, "no filter is called '\(name)'") }
    // A filter that maps in its turn goes as deep as the chain of names that it is given.
    return try nested { () throws(TemplateError) in
      for element in elements { results.append(try apply(filter, to: element, arguments)) }
      return results
    }
  }
}
