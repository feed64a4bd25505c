import Foundation
import ModelJSON

/// Schemas of types that do not have to be asked: those that JSON has, and those of Foundation that are written as text.
enum KnownSchemas {
  static func finding(of type: any Decodable.Type) -> SchemaRecorder.Finding? {
    switch type {
    case is String.Type: (["type": "string"], "")
    case is Bool.Type: (["type": "boolean"], false)
    case is Double.Type: (["type": "number"], 0.0)
    case is Float.Type: (["type": "number"], Float(0))
    case is UUID.Type: (Schema.string(format: .uuid).json, UUID())
    case is URL.Type: (Schema.string(format: .uri).json, URL(string: "about:blank"))
    // Foundation's reader of ISO 8601 takes no fractions of seconds.
    case is Date.Type: (Schema.string(pattern: "^[^.]*Z$", format: .dateTime).json, Date(timeIntervalSince1970: 0))
    case let integer as any (FixedWidthInteger & Decodable).Type: Self.integer(integer)
    default: nil
    }
  }

  private static func integer<T: FixedWidthInteger & Decodable>(_ type: T.Type) -> SchemaRecorder.Finding {
    var members = (["type": "integer"] as JSONValue).object ?? JSONObject()
    // Integers of more than 18 digits are not written anyway.
    if T.bitWidth < 64 || T.min == 0 { members["minimum"] = .integer(Int64(T.min)) }
    if T.bitWidth < 64 { members["maximum"] = .integer(Int64(T.max)) }
    return (.object(members), T.zero)
  }

  /// An enumeration of strings or integers.
  static func choice<T: CaseIterable>(_ type: T.Type) throws -> SchemaRecorder.Finding {
    let values = type.allCases.compactMap { value -> JSONValue? in
      guard let raw = (value as? any RawRepresentable)?.rawValue else { return nil }
      return (raw as? String).map { .string($0) } ?? (raw as? any BinaryInteger).map { .integer(Int64($0)) }
    }
    guard let first = type.allCases.first as? any Decodable, values.count == type.allCases.count else {
      throw LanguageModelError.badOptions("\(type) has cases without strings or integers; give it a 'schema'")
    }
    return (["enum": .array(values)], first)
  }
}

/// Types that hold any number of others, and so can be made up empty.
protocol RecordedContainer {
  static func record(_ recorder: SchemaRecorder) throws -> SchemaRecorder.Finding
}

extension Array: RecordedContainer where Element: Decodable {
  static func record(_ recorder: SchemaRecorder) throws -> SchemaRecorder.Finding {
    (Schema.array(of: Schema(try recorder.record(Element.self as any Decodable.Type).schema)).json, [Element]())
  }
}

extension Dictionary: RecordedContainer where Key == String, Value: Decodable {
  static func record(_ recorder: SchemaRecorder) throws -> SchemaRecorder.Finding {
    let schema = Schema(try recorder.record(Value.self as any Decodable.Type).schema)
    return (Schema.dictionary(of: schema).json, [String: Value]())
  }
}

extension Optional: RecordedContainer where Wrapped: Decodable {
  static func record(_ recorder: SchemaRecorder) throws -> SchemaRecorder.Finding {
    let schema = try recorder.record(Wrapped.self as any Decodable.Type).schema
    return (["anyOf": [schema, ["type": "null"]]], Wrapped?.none)
  }
}
