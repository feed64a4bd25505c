package import ModelJSON

/// What a value written by a model looks like: a JSON schema, put together from typed parts.
///
/// ```swift
/// let recipe = Schema.object([
///   "title": .string(maxLength: 80), "minutes": .integer(in: 1...600), "steps": .array(of: .string(), count: 1...10),
///   "course": .choice(of: ["starter", "main", "dessert"]), "note": .string().optional,
/// ])
/// ```
/// Members are written in this order.
public struct Schema: Sendable, Hashable, CustomStringConvertible {
  /// A format of strings that is kept to.
  public enum Format: String, Sendable, Hashable, CaseIterable {
    case date, time, duration, uuid, email, hostname, ipv4, ipv6, uri
    case dateTime = "date-time"
  }

  package let json: JSONValue
  /// Whether a member of this kind may be left out.
  package let isOptional: Bool

  package init(_ json: JSONValue, isOptional: Bool = false) { (self.json, self.isOptional) = (json, isOptional) }

  /// A schema as JSON text, for what the typed parts do not say.
  ///
  /// - Throws: `LanguageModelError` where the text is no JSON. Whether it can be kept is said when it is used.
  public init(json text: String) throws {
    do {
      self.init(try JSONValue(parsing: text))
    } catch {
      throw LanguageModelError.badOptions("the schema is no JSON: \(error)")
    }
  }

  public static let boolean = Schema(["type": "boolean"])

  /// - Parameters:
  ///   - pattern: a regular expression, as JavaScript has them, that matches somewhere in the string
  ///   - format: what the whole string is
  public static func string(
    minLength: Int? = nil, maxLength: Int? = nil, pattern: String? = nil, format: Format? = nil
  ) -> Schema {
    var members: JSONObject = JSONObject()
    members["type"] = "string"
    if let minLength { members["minLength"] = JSONValue(minLength) }
    if let maxLength { members["maxLength"] = JSONValue(maxLength) }
    if let pattern { members["pattern"] = .string(pattern) }
    if let format { members["format"] = .string(format.rawValue) }
    return Schema(.object(members))
  }

  public static func integer(in range: ClosedRange<Int>? = nil) -> Schema {
    guard let range else { return Schema(["type": "integer"]) }
    return Schema([
      "type": "integer", "minimum": JSONValue(range.lowerBound), "maximum": JSONValue(range.upperBound),
    ])
  }

  public static func number(in range: ClosedRange<Double>? = nil) -> Schema {
    guard let range else { return Schema(["type": "number"]) }
    return Schema(["type": "number", "minimum": JSONValue(range.lowerBound), "maximum": JSONValue(range.upperBound)])
  }

  /// One of some strings.
  public static func choice(of texts: [String]) -> Schema { Schema(["enum": .array(texts.map { .string($0) })]) }

  public static func array(of element: Schema, count: ClosedRange<Int>? = nil) -> Schema {
    guard let count else { return Schema(["type": "array", "items": element.json]) }
    return Schema([
      "type": "array", "items": element.json, "minItems": JSONValue(count.lowerBound),
      "maxItems": JSONValue(count.upperBound),
    ])
  }

  /// An object with these members and no others.
  public static func object(_ members: KeyValuePairs<String, Schema>) -> Schema {
    object(members.map { ($0.key, $0.value) })
  }

  static func object(_ members: [(name: String, schema: Schema)]) -> Schema {
    var properties = JSONObject()
    for member in members { properties[member.name] = member.schema.json }
    return Schema([
      "type": "object", "properties": .object(properties),
      "required": .array(members.filter { !$0.schema.isOptional }.map { .string($0.name) }),
      "additionalProperties": false,
    ])
  }

  /// An object of any names with values of one kind.
  public static func dictionary(of value: Schema) -> Schema {
    Schema(["type": "object", "additionalProperties": value.json])
  }

  public static func any(of schemas: [Schema]) -> Schema { Schema(["anyOf": .array(schemas.map(\.json))]) }

  /// The same, as a member that may be left out.
  public var optional: Schema { Schema(json, isOptional: true) }

  /// The schema as JSON.
  public var description: String { json.text }

  public static func == (a: Schema, b: Schema) -> Bool { a.json == b.json && a.isOptional == b.isOptional }
  public func hash(into hasher: inout Hasher) { hasher.combine(json.text) }
}
