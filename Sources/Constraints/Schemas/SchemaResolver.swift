import ModelJSON

/// Follows references and multiplies choices out, until only keywords are left.
struct SchemaResolver {
  let document: SchemaDocument
  private var steps = 0
  /// References that are being followed.
  private var path: [String] = []
  private var depth = 0

  private static let (stepLimit, depthLimit, alternativeLimit) = (200_000, 150, 4096)

  init(_ document: SchemaDocument) { self.document = document }

  /// The alternatives of schemas that all hold; empty where no value is possible.
  mutating func alternatives(of parts: [SchemaPart]) throws(ConstraintError) -> [SchemaKeywords] {
    var alternatives = [SchemaKeywords()]
    for part in parts { alternatives = try apply(part, to: alternatives) }
    return alternatives.filter(\.isPossible)
  }

  private mutating func apply(
    _ part: SchemaPart, to alternatives: [SchemaKeywords]
  ) throws(ConstraintError) -> [SchemaKeywords] {
    (steps, depth) = (steps + alternatives.count, depth + 1)
    defer { depth -= 1 }
    guard steps <= Self.stepLimit, depth <= Self.depthLimit, alternatives.count <= Self.alternativeLimit else {
      throw ConstraintError(part.pointer, nil, "has too many references and choices to be kept")
    }
    if let allows = part.value.bool { return allows ? alternatives : [] }
    guard let object = part.value.object else {
      throw ConstraintError(part.pointer, nil, "must be an object or true or false, not \(part.value.kind)")
    }
    var result = alternatives
    if let reference = object["$ref"] {
      guard let name = reference.string else { throw ConstraintError(part.pointer, "$ref", "must be a string") }
      let target = try document.target(of: name, at: part.pointer)
      guard !path.contains(target.pointer) else {
        throw ConstraintError(part.pointer, "$ref", "leads back to itself with nothing in between")
      }
      path.append(target.pointer)
      defer { path.removeLast() }
      result = try apply(target, to: result)
    }
    if !SchemaKeywords.isSilent(object) {
      for index in result.indices { try result[index].add(object, of: part) }
    }
    for (index, inner) in try list("allOf", object, part).enumerated() {
      result = try apply(part.member("allOf", index, of: inner), to: result)
    }
    for keyword in ["anyOf", "oneOf"] where object[keyword] != nil {
      result = try choose(keyword, object, part, among: result)
    }
    return result
  }

  private func list(
    _ keyword: String, _ object: JSONObject, _ part: SchemaPart
  ) throws(ConstraintError) -> [JSONValue] {
    guard let value = object[keyword] else { return [] }
    guard let list = value.array, !list.isEmpty else {
      throw ConstraintError(part.pointer, keyword, "must be an array of schemas")
    }
    return list
  }

  private mutating func choose(
    _ keyword: String, _ object: JSONObject, _ part: SchemaPart, among alternatives: [SchemaKeywords]
  ) throws(ConstraintError) -> [SchemaKeywords] {
    var result: [SchemaKeywords] = []
    let options = try list(keyword, object, part)
    for (index, option) in options.enumerated() {
      // A choice is named by where it stands, so that its objects are not taken for those of another.
      result += try apply(part.member(keyword, index, of: option), to: alternatives)
      guard result.count <= Self.alternativeLimit else {
        throw ConstraintError(part.pointer, keyword, "has too many choices to be kept")
      }
    }
    if keyword == "oneOf" { try checkDisjoint(options, part) }
    return result
  }

  /// `oneOf` is kept where no value can fit two choices: they differ in type, in a value, or in a required member's.
  private mutating func checkDisjoint(_ options: [JSONValue], _ part: SchemaPart) throws(ConstraintError) {
    var resolved: [[SchemaKeywords]] = []
    for (index, option) in options.enumerated() {
      resolved.append(try apply(part.member("oneOf", index, of: option), to: [SchemaKeywords()]).filter(\.isPossible))
    }
    for index in resolved.indices {
      for other in 0..<index {
        for a in resolved[index] {
          for b in resolved[other] {
            if try areDisjoint(a, b), try areDisjoint(b, a) { continue }
            throw ConstraintError(
              part.pointer, "oneOf",
              "has choices \(other) and \(index) that one value may fit; use anyOf, or a const that tells them apart")
          }
        }
      }
    }
  }

  /// Whether no value that is written for the first choice fits the second.
  private mutating func areDisjoint(_ a: SchemaKeywords, _ b: SchemaKeywords) throws(ConstraintError) -> Bool {
    let common = a.possibleKinds.intersection(b.kinds)
    if let values = a.values?.filter({ a.kinds.contains(SchemaKinds(of: $0)) }) {
      return values.allSatisfy { value in
        !b.kinds.contains(SchemaKinds(of: value)) || (b.values.map { !$0.contains { $0.equals(value) } } ?? false)
      }
    }
    if common.isEmpty || b.values?.allSatisfy({ !common.contains(SchemaKinds(of: $0)) }) == true { return true }
    if common.isSubset(of: .number) { return a.range.isDisjoint(from: b.range) }
    guard common == .object else { return false }
    for name in a.required {
      if b.members.contains(where: { $0.others?.value.bool == false && !$0.names.contains(name) }) { return true }
      guard let property = a.properties.first(where: { $0.name == name }),
        let other = b.properties.first(where: { $0.name == name })
      else { continue }
      if try haveDisjointValues(property.parts, other.parts) { return true }
    }
    return false
  }

  /// Whether no value of the first schemas is one of the second's, told by types and by lists of values.
  private mutating func haveDisjointValues(
    _ a: [SchemaPart], _ b: [SchemaPart]
  ) throws(ConstraintError) -> Bool {
    for first in try alternatives(of: a) {
      for second in try alternatives(of: b) {
        if first.possibleKinds.intersection(second.kinds).isEmpty { continue }
        guard let values = first.values, let others = second.values else { return false }
        if values.contains(where: { value in others.contains { $0.equals(value) } }) { return false }
      }
    }
    return true
  }
}
