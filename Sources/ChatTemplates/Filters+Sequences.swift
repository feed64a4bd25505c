extension TemplateEvaluator {
  func applySequenceFilter(
    _ filter: TemplateFilter, to value: TemplateValue, _ arguments: TemplateArguments
  ) throws(TemplateError) -> TemplateValue {
    switch filter {
    case .dictsort: return try dictionarySorted(value, arguments)
    case .items: return try items(of: value, arguments)
    case .join:
      let values = try bind(arguments, ["d", "attribute"], of: "join")
      var elements = try elements(of: value)
      if let attribute = values[1] {
        if case .none = attribute {} else { elements = try attributes(attribute, of: elements) }
      }
      let separator = try values[0].map { (value) throws(TemplateError) in try text(of: value) } ?? ""
      return .text(try join(elements, separator: separator.plain, convertsElements: true))
    case .reverse:
      _ = try bind(arguments, [], of: "reverse")
      if case .text(let text) = value {
        try charge(text.count)
        return .text(MarkedText(units: text.units.reversed(), isMarkup: text.isMarkup))
      }
      let elements = try elements(of: value)
      try charge(8 * elements.count)
      // What has no order to be walked backwards becomes a list first.
      if case .sequence(_, .generator) = value { return .list(elements.reversed()) }
      return .sequence(elements.reversed(), .generator)
    case .last:
      _ = try bind(arguments, [], of: "last")
      if case .sequence(_, .generator) = value { throw failure(.type, "'generator' object is not reversible") }
      return try elements(of: value).last ?? .undefined("No last item, sequence was empty.")
    case .first:
      _ = try bind(arguments, [], of: "first")
      return try elements(of: value).first ?? .undefined("No first item, sequence was empty.")
    default: break
    }
    let elements = try elements(of: value)
    try step(elements.count)
    try charge(8 * elements.count)
    switch filter {
    case .list:
      _ = try bind(arguments, [], of: "list")
      return .list(elements)
    case .batch: return try batches(of: elements, arguments)
    case .slice: return try slices(of: elements, arguments)
    case .groupby: return try groups(of: elements, arguments)
    case .sort:
      let values = try bind(arguments, ["reverse", "case_sensitive", "attribute"], of: "sort")
      let keys = try sortKeys(of: elements, attribute: values[2], ignoresCase: !(values[1]?.isTrue ?? false))
      let order = try sorted(Array(elements.indices), descending: values[0]?.isTrue ?? false) { keys[$0] }
      return .list(order.map { elements[$0] })
    case .min, .max: return try extreme(of: elements, isLargest: filter == .max, arguments)
    case .sum:
      let values = try bind(arguments, ["attribute", "start"], of: "sum")
      var summands = elements
      if let attribute = values[0] {
        if case .none = attribute {} else { summands = try attributes(attribute, of: elements) }
      }
      var sum = values[1] ?? .integer(0)
      if case .text = sum { throw failure(.type, "sum() can't sum strings") }
      for summand in summands { sum = try apply(.add, sum, summand) }
      return sum
    default: return try unique(elements, arguments)
    }
  }

  /// Sorts what has keys, stably, by Python's `<` alone.
  func sorted(
    _ elements: [Int], descending: Bool = false, by key: (Int) -> TemplateValue
  ) throws(TemplateError) -> [Int] {
    guard elements.count > 1 else { return elements }
    let middle = elements.count / 2
    let left = try sorted(Array(elements[..<middle]), descending: descending, by: key)
    let right = try sorted(Array(elements[middle...]), descending: descending, by: key)
    var result: [Int] = []
    result.reserveCapacity(elements.count)
    var (i, j) = (0, 0)
    while i < left.count, j < right.count {
      let (first, second) = descending ? (left[i], right[j]) : (right[j], left[i])
      let takesRight = try order(key(first), key(second)).map { $0 < 0 } ?? false
      if takesRight {
        result.append(right[j])
        j += 1
      } else {
        result.append(left[i])
        i += 1
      }
    }
    return result + left[i...] + right[j...]
  }

  private func sortKeys(
    of elements: [TemplateValue], attribute: TemplateValue?, ignoresCase: Bool
  ) throws(TemplateError) -> [TemplateValue] {
    let fold = { (value: TemplateValue) in ignoresCase ? self.withoutCase(value) : value }
    guard case .text(let names)? = attribute else {
      guard let attribute, attribute.asInteger != nil else { return elements.map(fold) }
      return try attributes(attribute, of: elements).map(fold)
    }
    var keys: [TemplateValue] = []
    for element in elements {
      var parts: [TemplateValue] = []
      for name in names.split(at: ",") { parts.append(fold(try self.attribute(path: .text(name), of: element))) }
      keys.append(.list(parts))
    }
    return keys
  }

  private func withoutCase(_ value: TemplateValue) -> TemplateValue {
    if case .text(let text) = value { .text(text.lowercased) } else { value }
  }

  /// What stands under a path of names and numbers with dots between them.
  ///
  /// A default takes the place of whatever is missing on the way.
  func attribute(
    path: TemplateValue, of value: TemplateValue, default fallback: TemplateValue = .none
  ) throws(TemplateError) -> TemplateValue {
    let filled = { (value: TemplateValue) in
      if case .none = fallback { return value }
      return value.isUndefined ? fallback : value
    }
    guard case .text(let path) = path else { return filled(try item(path, of: value)) }
    var result = value
    for part in path.split(at: ".") {
      let index = part.isAll(PythonScalars.isDigit) ? Int(part.string).map { TemplateValue.integer($0) } : nil
      result = filled(try item(index ?? .text(part), of: result))
    }
    return result
  }

  private func attributes(
    _ path: TemplateValue, of elements: [TemplateValue], default fallback: TemplateValue = .none
  ) throws(TemplateError) -> [TemplateValue] {
    try charge(8 * elements.count)
    var values: [TemplateValue] = []
    for element in elements { values.append(try attribute(path: path, of: element, default: fallback)) }
    return values
  }

  private func dictionarySorted(_ value: TemplateValue, _ arguments: TemplateArguments) throws(TemplateError)
    -> TemplateValue
  {
    let values = try bind(arguments, ["case_sensitive", "by", "reverse"], of: "dictsort")
    let by = try string(values[1], default: "key").string
    guard by == "key" || by == "value" else { throw failure(.type, "dictsort sorts by 'key' or 'value'") }
    guard case .dictionary(let members) = value else {
      if case .undefined(let message) = value { throw failure(.undefined, message) }
      throw failure(.type, "\(value.description) has no attribute 'items'")
    }
    try charge(24 * members.count)
    let ignoresCase = !(values[0]?.isTrue ?? false)
    let keys = (by == "key" ? members.keys : members.values).map { ignoresCase ? withoutCase($0) : $0 }
    let order = try sorted(Array(keys.indices), descending: values[2]?.isTrue ?? false) { keys[$0] }
    return .list(order.map { .tuple([members.keys[$0], members.values[$0]]) })
  }

  private func items(of value: TemplateValue, _ arguments: TemplateArguments) throws(TemplateError) -> TemplateValue {
    _ = try bind(arguments, [], of: "items")
    switch value {
    case .undefined: return .sequence([], .generator)
    case .dictionary(let members):
      try charge(24 * members.count)
      return .sequence(Self.pairs(of: members), .generator)
    default: throw failure(.type, "can only get item pairs from a mapping, not from \(value.description)")
    }
  }

  private func batches(of elements: [TemplateValue], _ arguments: TemplateArguments) throws(TemplateError)
    -> TemplateValue
  {
    let values = try bind(arguments, ["linecount", "fill_with"], required: 1, of: "batch")
    let size = try integer(values[0], default: 1)
    var batches: [TemplateValue] = []
    var batch: [TemplateValue] = []
    for element in elements {
      if batch.count == size {
        batches.append(.list(batch))
        batch = []
      }
      batch.append(element)
    }
    if !batch.isEmpty {
      if let fill = values[1], size > batch.count {
        if case .none = fill {
        } else {
          try charge(8, times: size)
          batch += [TemplateValue](repeating: fill, count: size - batch.count)
        }
      }
      batches.append(.list(batch))
    }
    return .sequence(batches, .generator)
  }

  private func slices(of elements: [TemplateValue], _ arguments: TemplateArguments) throws(TemplateError)
    -> TemplateValue
  {
    let values = try bind(arguments, ["slices", "fill_with"], required: 1, of: "slice")
    let count = try integer(values[0], default: 1)
    guard count != 0 else { throw failure(.type, "integer division or modulo by zero") }
    try charge(16, times: Swift.max(0, count))
    var slices: [TemplateValue] = []
    var start = 0
    for index in 0..<Swift.max(0, count) {
      let isLonger = index < elements.count % count
      let end = start + elements.count / count + (isLonger ? 1 : 0)
      var slice = Array(elements[start..<end])
      if let fill = values[1], !isLonger { if case .none = fill {} else { slice.append(fill) } }
      slices.append(.list(slice))
      start = end
    }
    return .sequence(slices, .generator)
  }

  private func groups(of elements: [TemplateValue], _ arguments: TemplateArguments) throws(TemplateError)
    -> TemplateValue
  {
    let values = try bind(arguments, ["attribute", "default", "case_sensitive"], required: 1, of: "groupby")
    let names = try attributes(values[0] ?? .none, of: elements, default: values[1] ?? .none)
    let keys = values[2]?.isTrue ?? false ? names : names.map(withoutCase)
    let order = try sorted(Array(elements.indices)) { keys[$0] }
    var groups: [TemplateValue] = []
    var start = 0
    while start < order.count {
      var end = start + 1
      while end < order.count, try isEqual(keys[order[start]], keys[order[end]]) { end += 1 }
      groups.append(.tuple([names[order[start]], .list(order[start..<end].map { elements[$0] })]))
      start = end
    }
    return .list(groups)
  }

  private func extreme(
    of elements: [TemplateValue], isLargest: Bool, _ arguments: TemplateArguments
  ) throws(TemplateError) -> TemplateValue {
    let values = try bind(arguments, ["case_sensitive", "attribute"], of: isLargest ? "max" : "min")
    var keys = elements
    if let attribute = values[1] {
      if case .none = attribute {} else { keys = try attributes(attribute, of: elements) }
    }
    if !(values[0]?.isTrue ?? false) { keys = keys.map(withoutCase) }
    guard var best = elements.indices.first else {
      return .undefined("No aggregated item, sequence was empty.")
    }
    for index in elements.indices.dropFirst() {
      let (a, b) = isLargest ? (best, index) : (index, best)
      if try order(keys[a], keys[b], operator: isLargest ? ">" : "<").map({ $0 < 0 }) ?? false { best = index }
    }
    return elements[best]
  }

  private func unique(_ elements: [TemplateValue], _ arguments: TemplateArguments) throws(TemplateError)
    -> TemplateValue
  {
    let values = try bind(arguments, ["case_sensitive", "attribute"], of: "unique")
    var keys = elements
    if let attribute = values[1] {
      if case .none = attribute {} else { keys = try attributes(attribute, of: elements) }
    }
    if !(values[0]?.isTrue ?? false) { keys = keys.map(withoutCase) }
    var seen = Set<TemplateDictionary.Key>()
    var hasUndefined = false
    var kept: [TemplateValue] = []
    for (element, key) in zip(elements, keys) {
      if key.isUndefined {
        if !hasUndefined { kept.append(element) }
        hasUndefined = true
        continue
      }
      guard let hashed = TemplateDictionary.Key(key) else { throw failure(.type, "unhashable type: '\(key.typeName)'") }
      if seen.insert(hashed).inserted { kept.append(element) }
    }
    return .sequence(kept, .generator)
  }
}
