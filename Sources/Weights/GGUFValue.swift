import ModelJSON

/// The type numbers of GGUF's metadata values.
enum GGUFValueType: UInt32, Sendable {
  case uint8 = 0
  case int8 = 1
  case uint16 = 2
  case int16 = 3
  case uint32 = 4
  case int32 = 5
  case float32 = 6
  case bool = 7
  case string = 8
  case array = 9
  case uint64 = 10
  case int64 = 11
  case float64 = 12

  /// The bytes of one value, or the fewest for those whose size varies.
  var minimumBytes: Int {
    switch self {
    case .uint8, .int8, .bool: 1
    case .uint16, .int16: 2
    case .uint32, .int32, .float32: 4
    case .uint64, .int64, .float64, .string: 8
    case .array: 12
    }
  }

  var isFixedSize: Bool { self != .string && self != .array }
}

/// Where a metadata value lies in the file; decoded when it is asked for, so that opening does not pay for it.
struct GGUFValue: Sendable {
  let type: GGUFValueType
  /// Of an array: the type and number of its elements.
  var elementType = GGUFValueType.uint8
  var count = 1
  /// The offset of the value, of an array the offset of its first element.
  let offset: Int
}

extension ByteReader {
  /// GGUF's own models nest no arrays; the limit keeps a hostile file from using up the stack.
  static let nestingLimit = 16

  /// Steps over one metadata value and says where it was; throws where any part of it leaves the file.
  mutating func value(_ type: GGUFValueType, depth: Int = 0) throws(WeightsError) -> GGUFValue {
    switch type {
    case .string:
      let value = GGUFValue(type: type, offset: position)
      _ = try stringRange("a string")
      return value
    case .array:
      guard depth < Self.nestingLimit else { throw failure(.nestedTooDeep(limit: Self.nestingLimit)) }
      let elementType = try valueType()
      let count = try count(minimumBytes: elementType.minimumBytes, "the length of an array")
      let value = GGUFValue(type: type, elementType: elementType, count: count, offset: position)
      if elementType.isFixedSize {
        try skip(count * elementType.minimumBytes, "an array")
      } else {
        for _ in 0..<count { _ = try self.value(elementType, depth: depth + 1) }
      }
      return value
    default:
      let value = GGUFValue(type: type, offset: position)
      try skip(type.minimumBytes, "a value")
      return value
    }
  }

  mutating func valueType() throws(WeightsError) -> GGUFValueType {
    let start = position
    let number: UInt32 = try read("a value's type")
    guard let type = GGUFValueType(rawValue: number) else { throw failure(.unknownValueType(number), at: start) }
    return type
  }

  /// Decodes one value that is no array.
  mutating func scalar(_ type: GGUFValueType) throws(WeightsError) -> JSONValue {
    switch type {
    case .uint8: return .integer(Int64(try read(as: UInt8.self, "a value")))
    case .int8: return .integer(Int64(try read(as: Int8.self, "a value")))
    case .uint16: return .integer(Int64(try read(as: UInt16.self, "a value")))
    case .int16: return .integer(Int64(try read(as: Int16.self, "a value")))
    case .uint32: return .integer(Int64(try read(as: UInt32.self, "a value")))
    case .int32: return .integer(Int64(try read(as: Int32.self, "a value")))
    case .int64: return .integer(try read("a value"))
    case .uint64:
      let value: UInt64 = try read("a value")
      return Int64(exactly: value).map { .integer($0) } ?? .number(Double(value))
    case .float32: return .number(Double(Float(bitPattern: try read("a value"))))
    case .float64: return .number(Double(bitPattern: try read("a value")))
    case .bool: return .bool(try read(as: UInt8.self, "a value") != 0)
    case .string: return .string(try string(limit: .max, "a string"))
    case .array: preconditionFailure("an array is not a scalar")
    }
  }
}
