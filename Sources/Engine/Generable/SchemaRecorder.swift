import ModelJSON

/// Finds the schema of a type by having it decode itself from values that are made up, and noting what it asks for.
final class SchemaRecorder {
  typealias Finding = (schema: JSONValue, value: (any Decodable)?)

  private var definitions = JSONObject()
  /// Types that are being recorded, by the names they get where a member refers to them.
  private var open: [ObjectIdentifier: String] = [:]
  private var names: [ObjectIdentifier: String] = [:]

  /// The type whose own schema is asked for; without one of its own it has to say so.
  @TaskLocal private static var asked: ObjectIdentifier?
  private struct HasNoSchema: Error {}

  /// - Throws: `LanguageModelError` where the type decodes in a way that cannot be recorded.
  static func schema(of type: any Decodable.Type) throws -> Schema {
    if asked == ObjectIdentifier(type) { throw HasNoSchema() }
    return try $asked.withValue(nil) {
      let recorder = SchemaRecorder()
      let schema = try recorder.recordMembers(of: type).schema
      guard var members = schema.object, !recorder.definitions.isEmpty else { return Schema(schema) }
      members["$defs"] = .object(recorder.definitions)
      return Schema(.object(members))
    }
  }

  /// A type's schema, and a value of it to decode on with.
  func recordValue<T: Decodable>(of type: T.Type) throws -> (schema: JSONValue, value: T) {
    let (schema, value) = try record(type as any Decodable.Type)
    guard let value = value as? T else {
      throw LanguageModelError.badOptions("no value of \(type) could be made up; give what contains it a 'schema'")
    }
    return (schema, value)
  }

  /// A type's schema, and a value of it where one could be made up.
  func record(_ type: any Decodable.Type) throws -> Finding {
    if let known = KnownSchemas.finding(of: type) { return known }
    if let container = type as? any RecordedContainer.Type { return try container.record(self) }
    if let own = try ownSchema(of: type) { return own }
    if let cases = type as? any CaseIterable.Type { return try KnownSchemas.choice(cases) }
    return try recordMembers(of: type)
  }

  private func ownSchema(of type: any Decodable.Type) throws -> Finding? {
    guard let generable = type as? any Generable.Type else { return nil }
    let schema: Schema
    do {
      schema = try Self.$asked.withValue(ObjectIdentifier(type)) { try generable.schema }
    } catch is HasNoSchema {
      return nil
    }
    let value = try? type.init(from: ProbeDecoder(recorder: SchemaRecorder(), place: SchemaPlace()))
    guard var members = schema.json.object, let inner = members["$defs"]?.object else { return (schema.json, value) }
    // References point into the whole, so definitions go there.
    for (name, definition) in inner {
      guard definitions[name] == nil || definitions[name] == definition else {
        throw LanguageModelError.badOptions("two schemas define '\(name)'; rename one")
      }
      definitions[name] = definition
    }
    var rest = JSONObject()
    for (name, value) in members where name != "$defs" { rest[name] = value }
    members = rest
    return (.object(members), value)
  }

  private func recordMembers(of type: any Decodable.Type) throws -> Finding {
    let identifier = ObjectIdentifier(type)
    if let name = open[identifier] {
      names[identifier] = name
      return (["$ref": .string("#/$defs/\(name)")], nil)
    }
    let name = names[identifier] ?? freeName(for: type)
    open[identifier] = name
    defer { open[identifier] = nil }
    let place = SchemaPlace()
    let value: any Decodable
    do {
      value = try type.init(from: ProbeDecoder(recorder: self, place: place))
    } catch let error as LanguageModelError {
      throw error
    } catch {
      throw LanguageModelError.badOptions("\(type) does not decode member by member; give it a 'schema'")
    }
    // A type that refers to itself is named; others stand where they are used.
    guard names[identifier] != nil else { return (place.schema, value) }
    definitions[name] = place.schema
    return (["$ref": .string("#/$defs/\(name)")], value)
  }

  private func freeName(for type: any Decodable.Type) -> String {
    let plain = "\(type)".filter { $0.isLetter || $0.isNumber || $0 == "_" }
    let taken = Set(open.values).union(definitions.keys)
    return taken.contains(plain) ? plain + "\(taken.count)" : plain
  }
}

/// Where a recorder notes what one value is asked for.
final class SchemaPlace {
  private var isObject = false
  private var members: [(name: String, schema: Schema)] = []
  private var optionals: Set<String> = []
  private var single: JSONValue = true

  var schema: JSONValue { isObject ? Schema.object(members).json : single }

  func beginObject() { isObject = true }

  func noteOptional(_ name: String) { optionals.insert(name) }

  func note(_ name: String, _ schema: JSONValue, isOptional: Bool) {
    guard !members.contains(where: { $0.name == name }) else { return }
    members.append((name, Schema(schema, isOptional: isOptional || optionals.contains(name))))
  }

  func note(_ schema: JSONValue) { (single, isObject) = (schema, false) }
}
