import ModelJSON

/// Answers whatever a type asks of its decoder with values that are made up, and has the recorder note it.
struct ProbeDecoder: Decoder {
  let recorder: SchemaRecorder
  let place: SchemaPlace
  var codingPath: [any CodingKey] { [] }
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedDecodingContainer<Key> {
    place.beginObject()
    return KeyedDecodingContainer(ProbeMembers(recorder: recorder, place: place))
  }

  func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
    throw Self.unsupported("elements one by one")
  }

  func singleValueContainer() -> any SingleValueDecodingContainer { ProbeValue(recorder: recorder, place: place) }

  fileprivate static func unsupported(_ what: String) -> LanguageModelError {
    .badOptions("a type that decodes \(what) needs a 'schema' of its own")
  }
}

/// The members of an object.
private struct ProbeMembers<Key: CodingKey>: KeyedDecodingContainerProtocol {
  let recorder: SchemaRecorder
  let place: SchemaPlace
  var codingPath: [any CodingKey] { [] }

  var allKeys: [Key] { [] }

  /// Asked only for members that may be missing.
  func contains(_ key: Key) -> Bool {
    place.noteOptional(key.stringValue)
    return true
  }

  func decodeNil(forKey key: Key) throws -> Bool { false }

  func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
    let (schema, value) = try recorder.recordValue(of: type)
    place.note(key.stringValue, schema, isOptional: false)
    return value
  }

  func decodeIfPresent<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T? {
    place.note(key.stringValue, try recorder.record(type as any Decodable.Type).schema, isOptional: true)
    return nil
  }

  func nestedContainer<Nested: CodingKey>(
    keyedBy type: Nested.Type, forKey key: Key
  ) throws -> KeyedDecodingContainer<Nested> { throw ProbeDecoder.unsupported("containers inside of its own") }

  func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
    throw ProbeDecoder.unsupported("containers inside of its own")
  }

  func superDecoder() throws -> any Decoder { throw ProbeDecoder.unsupported("a superclass") }
  func superDecoder(forKey key: Key) throws -> any Decoder { throw ProbeDecoder.unsupported("a superclass") }
}

/// A single value.
private struct ProbeValue: SingleValueDecodingContainer {
  let recorder: SchemaRecorder
  let place: SchemaPlace
  var codingPath: [any CodingKey] { [] }

  func decodeNil() -> Bool { false }

  func decode<T: Decodable>(_ type: T.Type) throws -> T {
    let (schema, value) = try recorder.recordValue(of: type)
    place.note(schema)
    return value
  }
}
