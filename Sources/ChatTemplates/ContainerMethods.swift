/// Methods of lists, tuples and ranges.
enum SequenceMethod: String {
  case index, count, copy
  case append, extend, insert, pop, remove, clear, reverse, sort
}

/// Methods of dictionaries.
enum DictionaryMethod: String {
  case keys, values, items, get, copy
  case pop, update, setdefault, popitem, clear
}

/// Methods of numbers.
enum NumberMethod: String {
  case isInteger = "is_integer"
}

extension TemplateEvaluator {
  private func immutable(_ name: String, _ type: String) -> TemplateError {
    failure(.security, "'\(name)' would change a \(type): templates may not change what they are given")
  }

  func call(
    _ method: SequenceMethod, of elements: [TemplateValue], _ arguments: TemplateArguments
  ) throws(TemplateError) -> TemplateValue {
    switch method {
    case .copy:
      _ = try bind(arguments, [], of: "copy")
      return .list(elements)
    case .count, .index:
      let sought = try bind(arguments, ["value"], required: 1, of: method.rawValue)[0] ?? .none
      var count = 0
      for (index, element) in elements.enumerated() where try isEqual(element, sought) {
        if method == .index { return .integer(index) }
        count += 1
      }
      if method == .count { return .integer(count) }
      throw failure(.type, "\(try representation(of: sought).string) is not in list")
    default: throw immutable(method.rawValue, "list")
    }
  }

  func call(
    _ method: DictionaryMethod, of members: TemplateDictionary, _ arguments: TemplateArguments
  ) throws(TemplateError) -> TemplateValue {
    switch method {
    case .get:
      let values = try bind(arguments, ["key", "default"], required: 1, of: "get")
      guard let key = TemplateDictionary.Key(values[0] ?? .none) else {
        throw failure(.type, "unhashable type: '\((values[0] ?? .none).typeName)'")
      }
      return members[key] ?? values[1] ?? .none
    case .keys, .values, .items, .copy:
      _ = try bind(arguments, [], of: method.rawValue)
      try charge(24 * members.count)
      switch method {
      case .keys: return .sequence(members.keys, .keys)
      case .values: return .sequence(members.values, .values)
      case .items: return .sequence(Self.pairs(of: members), .items)
      default: return .dictionary(members)
      }
    default: throw immutable(method.rawValue, "dict")
    }
  }

  static func pairs(of members: TemplateDictionary) -> [TemplateValue] {
    zip(members.keys, members.values).map { .tuple([$0, $1]) }
  }
}
