import ModelJSON

/// Kinds of JSON values; a number is an integer or has a fraction.
struct SchemaKinds: OptionSet, Sendable, Hashable {
  let rawValue: UInt8

  static let null = SchemaKinds(rawValue: 1)
  static let boolean = SchemaKinds(rawValue: 2)
  static let integer = SchemaKinds(rawValue: 4)
  static let fraction = SchemaKinds(rawValue: 8)
  static let string = SchemaKinds(rawValue: 16)
  static let array = SchemaKinds(rawValue: 32)
  static let object = SchemaKinds(rawValue: 64)
  static let number: SchemaKinds = [.integer, .fraction]
  static let all: SchemaKinds = [.null, .boolean, .number, .string, .array, .object]

  init(rawValue: UInt8) { self.rawValue = rawValue }

  /// By the name in `type`.
  init?(named name: String) {
    let names: [String: SchemaKinds] = [
      "null": .null, "boolean": .boolean, "integer": .integer, "number": .number, "string": .string, "array": .array,
      "object": .object,
    ]
    guard let kinds = names[name] else { return nil }
    self = kinds
  }

  /// The kind of a value.
  init(of value: JSONValue) {
    switch value {
    case .null: self = .null
    case .bool: self = .boolean
    case .integer: self = .integer
    case .number(let number): self = number.rounded() == number ? .integer : .fraction
    case .string: self = .string
    case .array: self = .array
    case .object: self = .object
    }
  }
}

extension JSONValue {
  /// Equality as JSON schemas have it: 1 and 1.0 are the same number.
  func equals(_ other: JSONValue) -> Bool {
    switch (self, other) {
    case (.integer(let a), .number(let b)), (.number(let b), .integer(let a)): return Double(a) == b
    case (.array(let a), .array(let b)): return a.count == b.count && zip(a, b).allSatisfy { $0.equals($1) }
    case (.object(let a), .object(let b)):
      return a.count == b.count && a.allSatisfy { member in b[member.key].map { member.value.equals($0) } ?? false }
    default: return self == other
    }
  }
}
