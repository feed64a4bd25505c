import ModelJSON

/// What a schema asks for after references and choices are resolved: keywords of all parts that hold together.
struct SchemaKeywords: Sendable {
  /// A part's members and what it says of others.
  struct Members: Sendable {
    var names: [String]
    var others: SchemaPart?
  }

  struct Elements: Sendable {
    var first: [SchemaPart]
    var others: SchemaPart?
  }

  /// Where the parts stand that ask for something, as a name for what they make together.
  private(set) var pointers: [String] = []
  var kinds = SchemaKinds.all
  /// Kinds that some keyword speaks of, for where no type is given.
  var spokenOf: SchemaKinds = []
  var hasType = false
  /// The only values there are.
  var values: [JSONValue]?
  var range = NumberRange()
  var minimumLength = 0
  var maximumLength: Int?
  var patterns: [String] = []
  var formats: [String] = []
  /// Members by name in the order of their first mention.
  var properties: [(name: String, parts: [SchemaPart])] = []
  var required: [String] = []
  var members: [Members] = []
  var propertyNames: [SchemaPart] = []
  /// Names by pattern, with what they hold.
  var namePatterns: [(pattern: String, part: SchemaPart)] = []
  var minimumProperties = 0
  var maximumProperties: Int?
  var elements: [Elements] = []
  var minimumItems = 0
  var maximumItems: Int?
  var isUnique = false

  var pointer: String { pointers.first ?? "#" }
  var key: String { pointers.sorted().joined(separator: "&") }

  /// The kinds that are possible: without a type those that keywords speak of, or all.
  var possibleKinds: SchemaKinds { hasType || spokenOf.isEmpty ? kinds : kinds.intersection(spokenOf) }

  /// Whether any value may be there.
  var isPossible: Bool { !possibleKinds.isEmpty && values?.isEmpty != true }

  mutating func note(_ pointer: String) {
    if !pointers.contains(pointer) { pointers.append(pointer) }
  }

  /// The most members, required names and values of one schema.
  static let listLimit = 5000

  /// Keeps the values that are in both lists.
  mutating func limit(to allowed: [JSONValue]) {
    values = (values ?? allowed).filter { value in values == nil || allowed.contains { $0.equals(value) } }
  }

  mutating func addProperty(_ name: String, _ part: SchemaPart) {
    if let index = properties.firstIndex(where: { $0.name.utf8.elementsEqual(name.utf8) }) {
      properties[index].parts.append(part)
    } else {
      properties.append((name, [part]))
    }
  }
}
