extension TemplateEvaluator {
  /// `value.name`: an attribute of Python's object, else what stands under the name.
  func attribute(_ name: MarkedText, of value: TemplateValue) throws(TemplateError) -> TemplateValue {
    if let found = try ownAttribute(name, of: value) { return found }
    if case .dictionary(let members) = value, let member = members[name] { return member }
    return missing(name, of: value)
  }

  private func missing(_ name: MarkedText, of value: TemplateValue) -> TemplateValue {
    let type = if case .none = value { "'None'" } else { value.description }
    return .undefined("\(type) has no attribute '\(name.string)'")
  }

  /// Methods, and what loops, namespaces and cyclers have.
  private func ownAttribute(_ name: MarkedText, of value: TemplateValue) throws(TemplateError) -> TemplateValue? {
    switch value {
    case .undefined(let message): throw failure(.undefined, message)
    case .text(let text):
      return TextMethod(rawValue: name.string).map { .callable(.textMethod($0, text)) }
    case .sequence(let elements, let kind):
      guard kind == .list || kind == .tuple || kind == .range else { return nil }
      // What `groupby` makes has names for its two parts.
      if kind == .tuple, elements.count == 2 {
        if name == "grouper" { return elements[0] }
        if name == "list" { return elements[1] }
      }
      guard let method = SequenceMethod(rawValue: name.string), kind == .list || method != .copy else { return nil }
      return .callable(.sequenceMethod(method, elements))
    case .dictionary(let members):
      return DictionaryMethod(rawValue: name.string).map { .callable(.dictionaryMethod($0, members)) }
    case .integer, .float, .bool:
      guard let method = NumberMethod(rawValue: name.string), let number = value.asDouble else { return nil }
      return .callable(.numberMethod(method, number))
    case .namespace(let namespace): return namespace.members[name]
    case .loop(let loop): return try loopAttribute(name.string, of: loop)
    case .callable(.macro(let definition, _)): return name.string == "name" ? .text(definition.name) : nil
    case .callable(.cycler(let cycler, .itself)):
      if name.string == "current" { return cycler.elements[cycler.position] }
      return CyclerMethod(rawValue: name.string).map { .callable(.cycler(cycler, method: $0)) }
    default: return nil
    }
  }

  private func loopAttribute(_ name: String, of loop: LoopState) throws(TemplateError) -> TemplateValue? {
    switch name {
    case "index": return .integer(loop.index + 1)
    case "index0": return .integer(loop.index)
    case "revindex": return .integer(try length(of: .loop(loop)) - loop.index)
    case "revindex0": return .integer(try length(of: .loop(loop)) - loop.index - 1)
    case "first": return .bool(loop.index == 0)
    case "last": return .bool(try !hasElement(loop.index + 1, of: loop))
    case "length": return .integer(try length(of: .loop(loop)))
    case "depth": return .integer(loop.depth + 1)
    case "depth0": return .integer(loop.depth)
    case "previtem":
      return loop.index > 0 ? loop.elements[loop.index - 1] : .undefined("there is no previous item")
    case "nextitem":
      guard try hasElement(loop.index + 1, of: loop) else { return .undefined("there is no next item") }
      return loop.elements[loop.index + 1]
    default:
      guard let method = LoopMethod(rawValue: name), method != .recurse else { return nil }
      return .callable(.loopMethod(method, loop))
    }
  }

  /// `value[index]`: what stands there, else an attribute of that name.
  func item(_ index: TemplateValue, of value: TemplateValue) throws(TemplateError) -> TemplateValue {
    if case .undefined(let message) = value { throw failure(.undefined, message) }
    if case .dictionary(let members) = value, let key = TemplateDictionary.Key(index), let member = members[key] {
      return member
    }
    if let position = index.asInteger {
      switch value {
      case .text(let text):
        if let place = Self.place(position, in: text.count) { return .text(text.slice(place..<place + 1)) }
      case .sequence(let elements, let kind) where kind == .list || kind == .tuple || kind == .range:
        if let place = Self.place(position, in: elements.count) { return elements[place] }
      default: break
      }
    }
    if case .text(let name) = index {
      return try ownAttribute(name, of: value) ?? missing(name, of: value)
    }
    let type = if case .none = value { "None" } else { "\(value.typeName) object" }
    return .undefined("\(type) has no element \(try representation(of: index).string)")
  }

  /// An index that may count from the end; nil outside.
  private static func place(_ index: Int, in count: Int) -> Int? {
    let place = index < 0 ? index + count : index
    return (0..<count).contains(place) ? place : nil
  }

  func slice(
    _ base: TemplateExpression, _ start: TemplateExpression?, _ stop: TemplateExpression?,
    _ step: TemplateExpression?, at place: Int
  ) throws(TemplateError) -> TemplateValue {
    let value = try evaluate(base)
    let start = try bound(start)
    let stop = try bound(stop)
    let step = try bound(step) ?? 1
    offset = place
    guard step != 0 else { throw failure(.type, "slice step cannot be zero") }
    switch value {
    case .undefined(let message): throw failure(.undefined, message)
    case .text(let text):
      if step == 1 {
        let range = Self.range(start, stop, text.count)
        try charge(range.count)
        return .text(text.slice(range))
      }
      let positions = Self.positions(start, stop, step, text.count)
      try charge(positions.count)
      return .text(MarkedText(units: positions.map { text.units[$0] }, isMarkup: text.isMarkup))
    case .sequence(let elements, let kind) where kind == .list || kind == .tuple || kind == .range:
      let positions = Self.positions(start, stop, step, elements.count)
      try charge(8 * positions.count)
      return .sequence(positions.map { elements[$0] }, kind)
    default: throw failure(.type, "'\(value.typeName)' object is not subscriptable")
    }
  }

  private func bound(_ expression: TemplateExpression?) throws(TemplateError) -> Int? {
    guard let expression else { return nil }
    let value = try evaluate(expression)
    offset = expression.offset
    if case .none = value { return nil }
    guard let bound = value.asInteger else {
      if case .undefined(let message) = value { throw failure(.undefined, message) }
      throw failure(.type, "slice indices must be integers or None")
    }
    return bound
  }

  private static func range(_ start: Int?, _ stop: Int?, _ count: Int) -> Range<Int> {
    let clamp = { (bound: Int) in bound < 0 ? max(0, bound + count) : min(bound, count) }
    let first = start.map(clamp) ?? 0
    return first..<max(first, stop.map(clamp) ?? count)
  }

  /// The positions of a slice, as Python counts them.
  private static func positions(_ start: Int?, _ stop: Int?, _ step: Int, _ count: Int) -> [Int] {
    if step == 1 { return Array(range(start, stop, count)) }
    let low = step > 0 ? 0 : -1
    let high = step > 0 ? count : count - 1
    let clamp = { (bound: Int) in bound < 0 ? max(low, bound + count) : min(bound, high) }
    let first = start.map(clamp) ?? (step > 0 ? low : high)
    let last = stop.map(clamp) ?? (step > 0 ? high : low)
    var positions: [Int] = []
    var position = first
    while step > 0 ? position < last : position > last {
      positions.append(position)
      let (next, overflow) = position.addingReportingOverflow(step)
      if overflow { break }
      position = next
    }
    return positions
  }
}
