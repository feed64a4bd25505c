/// A Python dictionary: members in the order in which they were added.
///
/// Look-up walks through up to eight members, and beyond asks a hash table that hashes with the process's random seed.
struct TemplateDictionary {
  private(set) var keys: [TemplateValue] = []
  private(set) var values: [TemplateValue] = []
  private var table: [Key: Int] = [:]
  private static let linearLimit = 8

  /// A key as Python compares it: `1`, `1.0` and `True` are one.
  enum Key: Hashable {
    case none
    case integer(Int)
    case float(Double)
    case text(MarkedText)
    case tuple([Key])

    /// Nil for what Python cannot hash.
    init?(_ value: TemplateValue) {
      switch value {
      case .none: self = .none
      case .bool(let value): self = .integer(value ? 1 : 0)
      case .integer(let value): self = .integer(value)
      case .float(let value): self = Int(exactly: value).map { .integer($0) } ?? .float(value)
      case .text(let text): self = .text(text)
      case .sequence(let elements, .tuple):
        var keys: [Key] = []
        for element in elements {
          guard let key = Key(element) else { return nil }
          keys.append(key)
        }
        self = .tuple(keys)
      default: return nil
      }
    }
  }

  var count: Int { keys.count }

  private func position(of key: Key) -> Int? {
    if count > Self.linearLimit { return table[key] }
    if case .text(let text) = key {
      return keys.firstIndex { if case .text(let other) = $0 { other == text } else { false } }
    }
    return keys.firstIndex { Key($0) == key }
  }

  subscript(key: Key) -> TemplateValue? { position(of: key).map { values[$0] } }

  subscript(text: MarkedText) -> TemplateValue? { self[Key.text(text)] }
  subscript(name: String) -> TemplateValue? { self[Key.text(MarkedText(name))] }

  /// Adds a member, or gives one that is there a new value. The value of a key that cannot be one is a caller's bug.
  mutating func set(_ key: TemplateValue, to value: TemplateValue) {
    guard let hashed = Key(key) else { preconditionFailure("no key") }
    if let position = position(of: hashed) {
      values[position] = value
      return
    }
    keys.append(key)
    values.append(value)
    if count == Self.linearLimit + 1 {
      for (position, key) in keys.enumerated() { table[Key(key) ?? .none] = position }
    } else if count > Self.linearLimit {
      table[hashed] = count - 1
    }
  }

  mutating func set(_ name: String, to value: TemplateValue) { set(.text(name), to: value) }

  /// Removes a member and returns its value.
  mutating func remove(_ key: Key) -> TemplateValue? {
    guard let position = position(of: key) else { return nil }
    keys.remove(at: position)
    let value = values.remove(at: position)
    table = [:]
    if count > Self.linearLimit {
      for (position, key) in keys.enumerated() { table[Key(key) ?? .none] = position }
    }
    return value
  }

  mutating func removeAll() { self = TemplateDictionary() }
}
