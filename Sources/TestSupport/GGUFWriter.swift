/// Builds GGUF files in memory, true ones and such that lie.
///
///     var model = GGUFWriter()
///     model.metadata = [("general.architecture", .string("llama")), ("llama.block_count", .uint32(2))]
///     model.add("output_norm.weight", [64], ones, as: .float32)
///     try Data(model.bytes()).write(to: url)
package struct GGUFWriter {
  package indirect enum Value {
    case uint8(UInt8), int8(Int8), uint16(UInt16), int16(Int16), uint32(UInt32), int32(Int32)
    case float32(Float), bool(Bool), string(String), array(elementType: UInt32, [Value])
    case uint64(UInt64), int64(Int64), float64(Double)
    /// Any type number with any bytes.
    case raw(type: UInt32, [UInt8])

    package static func strings(_ values: [String]) -> Value { .array(elementType: 8, values.map { .string($0) }) }
    package static func int32s(_ values: [Int32]) -> Value { .array(elementType: 5, values.map { .int32($0) }) }
    package static func floats(_ values: [Float]) -> Value { .array(elementType: 6, values.map { .float32($0) }) }
    package static func bools(_ values: [Bool]) -> Value { .array(elementType: 7, values.map { .bool($0) }) }
  }

  package struct Tensor {
    package var name: String
    /// Dimensions as they are written: innermost first.
    package var dimensions: [UInt64]
    package var type: UInt32
    package var data: [UInt8]
    /// In place of the true offset.
    package var offset: UInt64?
    /// In place of the true number of dimensions.
    package var dimensionCount: UInt32?
  }

  package var version: UInt32 = 3
  /// The padding that is written; say it in `general.alignment` where it is not 32.
  package var alignment = 32
  package var metadata: [(key: String, value: Value)] = []
  package var tensors: [Tensor] = []
  /// Any bytes after the metadata, which `keyCount` may claim to be keys.
  package var rawMetadata: [UInt8] = []
  /// In place of the true counts.
  package var tensorCount: UInt64?
  package var keyCount: UInt64?

  package init() {}

  /// Adds a tensor; the shape is row-major, outermost first.
  package mutating func add(
    _ name: String, _ shape: [Int], _ values: [Float], as encoding: ElementEncoding = .float32
  ) {
    precondition(shape.reduce(1, *) == values.count, "shape and values differ")
    add(name, shape, type: encoding.rawValue, data: encoding.encode(values))
  }

  package mutating func add(_ name: String, _ shape: [Int], type: UInt32, data: [UInt8]) {
    tensors.append(Tensor(name: name, dimensions: shape.reversed().map { UInt64($0) }, type: type, data: data))
  }

  /// The header alone, without the padding after it.
  package func header() -> [UInt8] {
    var builder = ByteBuilder()
    builder.bytes = Array("GGUF".utf8)
    builder.append(version)
    builder.append(tensorCount ?? UInt64(tensors.count))
    builder.append(keyCount ?? UInt64(metadata.count))
    for (key, value) in metadata {
      builder.append(key)
      builder.append(Self.typeNumber(value))
      Self.append(value, to: &builder)
    }
    builder.bytes += rawMetadata
    var offset = 0
    for tensor in tensors {
      builder.append(tensor.name)
      builder.append(tensor.dimensionCount ?? UInt32(tensor.dimensions.count))
      for dimension in tensor.dimensions { builder.append(dimension) }
      builder.append(tensor.type)
      builder.append(tensor.offset ?? UInt64(offset))
      offset += (tensor.data.count + alignment - 1) / alignment * alignment
    }
    return builder.bytes
  }

  /// The whole file.
  package func bytes() -> [UInt8] {
    var builder = ByteBuilder()
    builder.bytes = header()
    for tensor in tensors {
      builder.pad(toMultipleOf: alignment)
      builder.bytes += tensor.data
    }
    return builder.bytes
  }

  private static func typeNumber(_ value: Value) -> UInt32 {
    switch value {
    case .uint8: 0
    case .int8: 1
    case .uint16: 2
    case .int16: 3
    case .uint32: 4
    case .int32: 5
    case .float32: 6
    case .bool: 7
    case .string: 8
    case .array: 9
    case .uint64: 10
    case .int64: 11
    case .float64: 12
    case .raw(let type, _): type
    }
  }

  private static func append(_ value: Value, to builder: inout ByteBuilder) {
    switch value {
    case .uint8(let value): builder.append(value)
    case .int8(let value): builder.append(value)
    case .uint16(let value): builder.append(value)
    case .int16(let value): builder.append(value)
    case .uint32(let value): builder.append(value)
    case .int32(let value): builder.append(value)
    case .float32(let value): builder.append(value)
    case .bool(let value): builder.append(UInt8(value ? 1 : 0))
    case .string(let value): builder.append(value)
    case .uint64(let value): builder.append(value)
    case .int64(let value): builder.append(value)
    case .float64(let value): builder.append(value)
    case .array(let elementType, let values):
      builder.append(elementType)
      builder.append(UInt64(values.count))
      for value in values { append(value, to: &builder) }
    case .raw(_, let bytes): builder.bytes += bytes
    }
  }
}
