/// Names that are bound in one block, and the block around it.
final class TemplateScope {
  let parent: TemplateScope?
  private var names: [Int] = []
  private var values: [TemplateValue] = []

  init(parent: TemplateScope?) { self.parent = parent }

  func value(of name: Int) -> TemplateValue? {
    var scope: TemplateScope? = self
    while let current = scope {
      if let index = current.names.firstIndex(of: name) { return current.values[index] }
      scope = current.parent
    }
    return nil
  }

  func bind(_ name: Int, to value: TemplateValue) {
    if let index = names.firstIndex(of: name) {
      values[index] = value
    } else {
      names.append(name)
      values.append(value)
    }
  }

  /// Lets go of everything, which breaks the circle of a macro and the scope that it is bound in.
  func clear() {
    names = []
    values = []
  }
}

/// What a call is given.
struct TemplateArguments {
  var positional: [TemplateValue] = []
  var keywords: [(name: String, value: TemplateValue)] = []

  init() {}
  init(_ positional: [TemplateValue]) { self.positional = positional }

  mutating func takeKeyword(_ name: String) -> TemplateValue? {
    guard let index = keywords.firstIndex(where: { $0.name == name }) else { return nil }
    return keywords.remove(at: index).value
  }
}
