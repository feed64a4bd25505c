import ModelJSON

extension SchemaKeywords {
  /// Keywords that say nothing about what is valid.
  private static let annotations: Set<String> = [
    "$schema", "$id", "$anchor", "$comment", "$defs", "$vocabulary", "definitions", "title", "description", "default",
    "examples", "example", "deprecated", "readOnly", "writeOnly", "contentMediaType", "contentEncoding",
    "discriminator",
    "strict",
  ]
  /// Keywords that are resolved before (`SchemaResolver`).
  private static let applied: Set<String> = ["$ref", "allOf", "anyOf", "oneOf"]

  /// Whether a schema asks for nothing by itself.
  static func isSilent(_ object: JSONObject) -> Bool {
    object.keys.allSatisfy { annotations.contains($0) || applied.contains($0) || $0.hasPrefix("x-") }
  }

  /// Takes in the keywords of a part, in addition to those of others.
  ///
  /// - Throws: `ConstraintError` for a keyword that is unknown, malformed, or cannot be kept.
  mutating func add(_ object: JSONObject, of part: SchemaPart) throws(ConstraintError) {
    if !Self.isSilent(object) { note(part.pointer) }
    for (keyword, value) in object {
      if Self.annotations.contains(keyword) || Self.applied.contains(keyword) || keyword.hasPrefix("x-") { continue }
      if try addType(keyword, value, part) { continue }
      if try addNumber(keyword, value, part) { continue }
      if try addString(keyword, value, part) { continue }
      if try addObject(keyword, value, part) { continue }
      if try addArray(keyword, value, part) { continue }
      throw ConstraintError(part.pointer, keyword, "is not supported")
    }
    try addMembers(object, part)
    addElements(object, part)
  }

  private func wrong(_ part: SchemaPart, _ keyword: String, _ expected: String) -> ConstraintError {
    ConstraintError(part.pointer, keyword, "must be \(expected)")
  }

  private mutating func addType(
    _ keyword: String, _ value: JSONValue, _ part: SchemaPart
  ) throws(ConstraintError) -> Bool {
    switch keyword {
    case "type":
      guard let names = value.string.map({ [$0] }) ?? value.array?.map({ $0.string ?? "" }) else {
        throw wrong(part, keyword, "the name of a type or a list of names")
      }
      var given: SchemaKinds = []
      for name in names {
        guard let kind = SchemaKinds(named: name) else { throw wrong(part, keyword, "the names of types") }
        given.formUnion(kind)
      }
      kinds.formIntersection(given)
      hasType = true
    case "enum":
      guard let allowed = value.array, !allowed.isEmpty else { throw wrong(part, keyword, "an array of values") }
      try check(allowed.count, keyword, part)
      limit(to: allowed)
    case "const": limit(to: [value])
    default: return false
    }
    return true
  }

  private func check(_ count: Int, _ keyword: String, _ part: SchemaPart) throws(ConstraintError) {
    guard count <= Self.listLimit else {
      throw ConstraintError(part.pointer, keyword, "has \(count) entries; \(Self.listLimit) can be kept")
    }
  }

  private func count(_ keyword: String, _ value: JSONValue, _ part: SchemaPart) throws(ConstraintError) -> Int {
    guard let count = value.integer, count >= 0 else { throw wrong(part, keyword, "an integer of 0 or more") }
    return count
  }

  private mutating func addNumber(
    _ keyword: String, _ value: JSONValue, _ part: SchemaPart
  ) throws(ConstraintError) -> Bool {
    let keywords = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]
    guard keywords.contains(keyword) else { return false }
    guard let number = Decimal(value) else { throw wrong(part, keyword, "a number") }
    spokenOf.formUnion(.number)
    switch keyword {
    case "minimum": range.raise(number, isExclusive: false)
    case "exclusiveMinimum": range.raise(number, isExclusive: true)
    case "maximum": range.lower(number, isExclusive: false)
    case "exclusiveMaximum": range.lower(number, isExclusive: true)
    default:
      guard range.multiple == nil || range.multiple == number else {
        throw ConstraintError(part.pointer, keyword, "differs from another one that holds here")
      }
      range.multiple = number
    }
    return true
  }

  private mutating func addString(
    _ keyword: String, _ value: JSONValue, _ part: SchemaPart
  ) throws(ConstraintError) -> Bool {
    switch keyword {
    case "minLength": minimumLength = max(minimumLength, try count(keyword, value, part))
    case "maxLength": maximumLength = min(maximumLength ?? .max, try count(keyword, value, part))
    case "pattern":
      guard let pattern = value.string else { throw wrong(part, keyword, "a string") }
      if !patterns.contains(pattern) { patterns.append(pattern) }
    case "format":
      guard let format = value.string else { throw wrong(part, keyword, "a string") }
      return try addFormat(format, part)
    default: return false
    }
    spokenOf.formUnion(.string)
    return true
  }

  private mutating func addFormat(_ format: String, _ part: SchemaPart) throws(ConstraintError) -> Bool {
    switch format {
    case "int32":
      range.raise(Decimal(Int(Int32.min)), isExclusive: false)
      range.lower(Decimal(Int(Int32.max)), isExclusive: false)
    case "int64", "float", "double": break
    case _ where StringFormat.annotations.contains(format): break
    case _ where StringFormat.expression(format) != nil:
      if !formats.contains(format) { formats.append(format) }
      spokenOf.formUnion(.string)
    default: throw ConstraintError(part.pointer, "format", "'\(format)' is not supported")
    }
    return true
  }

  private mutating func addObject(
    _ keyword: String, _ value: JSONValue, _ part: SchemaPart
  ) throws(ConstraintError) -> Bool {
    switch keyword {
    case "properties":
      guard let members = value.object else { throw wrong(part, keyword, "an object of schemas") }
      try check(members.count + properties.count, keyword, part)
      let inner = part.member(keyword, of: value)
      for (name, schema) in members { addProperty(name, inner.member(name, of: schema)) }
    case "required":
      guard let names = value.array?.map(\.string), names.allSatisfy({ $0 != nil }) else {
        throw wrong(part, keyword, "an array of names")
      }
      try check(names.count + required.count, keyword, part)
      for case let name? in names where !required.contains(name) { required.append(name) }
    case "additionalProperties": break
    case "propertyNames": propertyNames.append(part.member(keyword, of: value))
    case "patternProperties":
      guard let members = value.object else { throw wrong(part, keyword, "an object of schemas") }
      let inner = part.member(keyword, of: value)
      for (pattern, schema) in members { namePatterns.append((pattern, inner.member(pattern, of: schema))) }
    case "minProperties": minimumProperties = max(minimumProperties, try count(keyword, value, part))
    case "maxProperties": maximumProperties = min(maximumProperties ?? .max, try count(keyword, value, part))
    default: return false
    }
    spokenOf.formUnion(.object)
    return true
  }

  private mutating func addMembers(_ object: JSONObject, _ part: SchemaPart) throws(ConstraintError) {
    let others = object["additionalProperties"].map { part.member("additionalProperties", of: $0) }
    let names = object["properties"]?.object?.keys ?? []
    if others != nil || !names.isEmpty { members.append(Members(names: names, others: others)) }
  }

  private mutating func addArray(
    _ keyword: String, _ value: JSONValue, _ part: SchemaPart
  ) throws(ConstraintError) -> Bool {
    switch keyword {
    case "items", "additionalItems": break
    case "prefixItems": guard value.array != nil else { throw wrong(part, keyword, "an array of schemas") }
    case "minItems": minimumItems = max(minimumItems, try count(keyword, value, part))
    case "maxItems": maximumItems = min(maximumItems ?? .max, try count(keyword, value, part))
    case "uniqueItems":
      guard let unique = value.bool else { throw wrong(part, keyword, "true or false") }
      isUnique = isUnique || unique
    default: return false
    }
    spokenOf.formUnion(.array)
    return true
  }

  /// `items` is one schema for all elements behind `prefixItems`, or, as of old, a list for the first ones.
  private mutating func addElements(_ object: JSONObject, _ part: SchemaPart) {
    var place: (first: String, others: String) = ("prefixItems", "items")
    if object["items"]?.array != nil { place = ("items", "additionalItems") }
    let first = (object[place.first]?.array ?? []).enumerated().map {
      part.member(place.first, $0.offset, of: $0.element)
    }
    let others = object[place.others].map { part.member(place.others, of: $0) }
    if others != nil || !first.isEmpty { elements.append(Elements(first: first, others: others)) }
  }
}
