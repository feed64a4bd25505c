import ModelJSON

/// A schema and where it stands.
struct SchemaPart: Sendable {
  let value: JSONValue
  /// A JSON pointer as a fragment: `#/$defs/node`.
  let pointer: String

  init(_ value: JSONValue, _ pointer: String) { (self.value, self.pointer) = (value, pointer) }

  func member(_ key: String, of value: JSONValue) -> SchemaPart {
    SchemaPart(value, pointer + "/" + Self.escaped(key))
  }

  func member(_ key: String, _ index: Int, of value: JSONValue) -> SchemaPart {
    SchemaPart(value, "\(pointer)/\(key)/\(index)")
  }

  private static func escaped(_ key: String) -> String {
    guard key.contains(where: { $0 == "~" || $0 == "/" }) else { return key }
    return key.map { $0 == "~" ? "~0" : $0 == "/" ? "~1" : String($0) }.joined()
  }
}

/// A schema in which references can be followed.
struct SchemaDocument: Sendable {
  let root: SchemaPart

  init(_ schema: JSONValue) { root = SchemaPart(schema, "#") }

  /// What `$ref` names: a pointer into this document.
  func target(of reference: String, at pointer: String) throws(ConstraintError) -> SchemaPart {
    guard reference.hasPrefix("#") else {
      throw ConstraintError(pointer, "$ref", "must point into this schema (#/…), not to '\(reference)'")
    }
    let missing = ConstraintError(pointer, "$ref", "points to '\(reference)', where nothing is")
    var part = root
    let path = Self.withoutPercents(reference.dropFirst())
    guard let path, path.isEmpty || path.hasPrefix("/") else { throw missing }
    for step in path.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
      let key = Self.unescaped(step)
      switch part.value {
      case .object(let members):
        guard let value = members[key] else { throw missing }
        part = part.member(key, of: value)
      case .array(let elements):
        guard let index = Int(key), elements.indices.contains(index) else { throw missing }
        part = SchemaPart(elements[index], "\(part.pointer)/\(index)")
      default: throw missing
      }
    }
    return part
  }

  /// `~1` is a slash, `~0` a tilde.
  private static func unescaped(_ step: Substring) -> String {
    var result = ""
    var isEscaped = false
    for character in step {
      if isEscaped {
        result.append(character == "1" ? "/" : character == "0" ? "~" : "~" + String(character))
        isEscaped = false
      } else if character == "~" {
        isEscaped = true
      } else {
        result.append(character)
      }
    }
    return result
  }

  private static func withoutPercents(_ text: Substring) -> String? {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      guard let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else { return nil }
      bytes.append(value)
      rest = rest.dropFirst(2)
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
