import Foundation
import ModelJSON

/// Says whether a value is valid under a JSON schema, straight from the words of the specification; shares nothing with the automaton.
struct SchemaValidator {
  let root: JSONValue

  func accepts(_ value: JSONValue) -> Bool { isValid(value, root) }

  private func isValid(_ value: JSONValue, _ schema: JSONValue) -> Bool {
    if let bool = schema.bool { return bool }
    guard let object = schema.object else { return false }
    return object.allSatisfy { isValid(value, $0.key, $0.value, object) }
  }

  private func isValid(_ value: JSONValue, _ keyword: String, _ expected: JSONValue, _ schema: JSONObject) -> Bool {
    switch keyword {
    case "$ref": return isValid(value, target(expected.string ?? ""))
    case "allOf": return (expected.array ?? []).allSatisfy { isValid(value, $0) }
    case "anyOf": return (expected.array ?? []).contains { isValid(value, $0) }
    case "oneOf": return (expected.array ?? []).count(where: { isValid(value, $0) }) == 1
    case "type": return (expected.array ?? [expected]).contains { isOfType(value, $0.string ?? "") }
    case "enum": return (expected.array ?? []).contains { same($0, value) }
    case "const": return same(expected, value)
    default: break
    }
    if let number = value.double { return isValid(number, keyword, expected) }
    if let text = value.string { return isValid(text, keyword, expected) }
    if let elements = value.array { return isValid(elements, keyword, expected, schema) }
    if let members = value.object { return isValid(members, keyword, expected, schema) }
    return true
  }

  private func isOfType(_ value: JSONValue, _ type: String) -> Bool {
    switch type {
    case "integer": value.double.map { $0 == $0.rounded() } ?? false
    case "number": value.double != nil
    case "string": value.string != nil
    case "array": value.array != nil
    case "object": value.object != nil
    case "boolean": value.bool != nil
    default: value.isNull
    }
  }

  private func same(_ a: JSONValue, _ b: JSONValue) -> Bool {
    if let a = a.double, let b = b.double { return a == b }
    if let a = a.array, let b = b.array { return a.count == b.count && zip(a, b).allSatisfy(same) }
    if let a = a.object, let b = b.object {
      return a.count == b.count && a.allSatisfy { member in b[member.key].map { same(member.value, $0) } ?? false }
    }
    return a == b
  }

  private func isValid(_ number: Double, _ keyword: String, _ expected: JSONValue) -> Bool {
    guard let bound = expected.double else { return true }
    switch keyword {
    case "minimum": return number >= bound
    case "maximum": return number <= bound
    case "exclusiveMinimum": return number > bound
    case "exclusiveMaximum": return number < bound
    case "multipleOf" where expected.integer != nil && number == number.rounded():
      return number.magnitude > 1e15 || Int(number) % (expected.integer ?? 1) == 0
    case "multipleOf": return abs((number / bound).rounded() - number / bound) < 1e-9
    default: return true
    }
  }

  private func isValid(_ text: String, _ keyword: String, _ expected: JSONValue) -> Bool {
    let count = text.unicodeScalars.count
    switch keyword {
    case "minLength": return count >= expected.integer ?? 0
    case "maxLength": return count <= expected.integer ?? 0
    case "pattern":
      // ICU writes two things in other ways.
      let pattern = (expected.string ?? "").replacing("\\u{", with: "\\x{").replacing("[]", with: "(?!)")
      if pattern.isEmpty { return true }
      let expression = try? NSRegularExpression(pattern: pattern)
      return expression?.firstMatch(in: text, range: NSRange(text.startIndex..., in: text)) != nil
    case "format": return isFormatted(text, expected.string ?? "")
    default: return true
    }
  }

  private func isFormatted(_ text: String, _ format: String) -> Bool {
    switch format {
    case "date": return isDate(text)
    case "date-time": return text.count > 11 && isDate(String(text.prefix(10))) && text.dropFirst(10).first == "T"
    case "uuid": return UUID(uuidString: text) != nil
    case "ipv4":
      let parts = text.split(separator: ".", omittingEmptySubsequences: false)
      return parts.count == 4 && parts.allSatisfy { UInt8($0).map { String($0) } == String($0) }
    case "ipv6":
      var address = in6_addr()
      return inet_pton(AF_INET6, text, &address) == 1
    case "uri": return URL(string: text)?.scheme != nil
    default: return true
    }
  }

  private func isDate(_ text: String) -> Bool {
    let parts = text.split(separator: "-").compactMap { Int($0) }
    guard parts.count == 3, text.count == 10 else { return false }
    let components = DateComponents(
      calendar: Calendar(identifier: .gregorian), timeZone: TimeZone(identifier: "UTC"), year: parts[0],
      month: parts[1],
      day: parts[2])
    // The calendar of Foundation is Julian before 1582, where leap years differ.
    return parts[0] < 1583 || components.isValidDate
  }

  private func isValid(
    _ elements: [JSONValue], _ keyword: String, _ expected: JSONValue, _ schema: JSONObject
  ) -> Bool {
    switch keyword {
    case "minItems": return elements.count >= expected.integer ?? 0
    case "maxItems": return elements.count <= expected.integer ?? 0
    case "uniqueItems": return expected.bool == false || elements.count < 2
    case "prefixItems": return zip(elements, expected.array ?? []).allSatisfy { isValid($0, $1) }
    case "items":
      return elements.dropFirst(schema["prefixItems"]?.array?.count ?? 0).allSatisfy { isValid($0, expected) }
    default: return true
    }
  }

  private func isValid(
    _ members: JSONObject, _ keyword: String, _ expected: JSONValue, _ schema: JSONObject
  ) -> Bool {
    switch keyword {
    case "required": return (expected.array ?? []).allSatisfy { members[$0.string ?? ""] != nil }
    case "minProperties": return members.count >= expected.integer ?? 0
    case "maxProperties": return members.count <= expected.integer ?? 0
    case "properties":
      return (expected.object ?? JSONObject()).allSatisfy { property in
        members[property.key].map { isValid($0, property.value) } ?? true
      }
    case "additionalProperties":
      let known = schema["properties"]?.object
      let patterns = schema["patternProperties"]?.object?.keys ?? []
      return members.allSatisfy { member in
        known?[member.key] != nil || patterns.contains { isValid(member.key, "pattern", .string($0)) }
          || isValid(member.value, expected)
      }
    case "patternProperties":
      return (expected.object ?? JSONObject()).allSatisfy { pattern in
        members.allSatisfy { member in
          !isValid(member.key, "pattern", .string(pattern.key)) || isValid(member.value, pattern.value)
        }
      }
    case "propertyNames": return members.allSatisfy { isValid(.string($0.key), expected) }
    default: return true
    }
  }

  private func target(_ reference: String) -> JSONValue {
    var value = root
    for step in reference.split(separator: "/").dropFirst() {
      value = value[String(step)] ?? value.array.flatMap { list in Int(step).map { list[$0] } } ?? false
    }
    return value
  }
}
