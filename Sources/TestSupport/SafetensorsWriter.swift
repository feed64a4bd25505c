/// Builds safetensors files in memory, true ones and such that lie.
package struct SafetensorsWriter {
  package struct Tensor {
    package var name: String
    package var dtype: String
    /// As JSON, `[2,3]`.
    package var shape: String
    package var data: [UInt8]
    /// In place of the true `data_offsets`, as JSON.
    package var offsets: String?
  }

  package var tensors: [Tensor] = []
  /// The strings of `__metadata__`; none where empty.
  package var metadata: [(key: String, value: String)] = []
  /// In place of the true JSON and its length.
  package var headerText: String?
  package var headerLength: UInt64?
  /// Written after the last tensor.
  package var trailing: [UInt8] = []

  package init() {}

  /// Adds a tensor; the shape is row-major, outermost first.
  package mutating func add(
    _ name: String, _ shape: [Int], _ values: [Float], as encoding: ElementEncoding = .float32
  ) {
    precondition(shape.reduce(1, *) == values.count, "shape and values differ")
    guard let dtype = encoding.dtype else { preconditionFailure("safetensors has no block types") }
    add(name, shape, dtype: dtype, data: encoding.encode(values))
  }

  package mutating func add(_ name: String, _ shape: [Int], dtype: String, data: [UInt8]) {
    let dimensions = shape.map(String.init).joined(separator: ",")
    tensors.append(Tensor(name: name, dtype: dtype, shape: "[\(dimensions)]", data: data))
  }

  /// The JSON, padded with spaces to a multiple of eight. Names are written as they are, without escapes.
  package func header() -> String {
    if let headerText { return headerText }
    var members: [String] = []
    if !metadata.isEmpty {
      let strings = metadata.map { "\"\($0.key)\":\"\($0.value)\"" }.joined(separator: ",")
      members.append("\"__metadata__\":{\(strings)}")
    }
    var offset = 0
    for tensor in tensors {
      let offsets = tensor.offsets ?? "[\(offset),\(offset + tensor.data.count)]"
      members.append(
        "\"\(tensor.name)\":{\"dtype\":\"\(tensor.dtype)\",\"shape\":\(tensor.shape),\"data_offsets\":\(offsets)}")
      offset += tensor.data.count
    }
    let text = "{\(members.joined(separator: ","))}"
    return text + String(repeating: " ", count: (8 - text.utf8.count % 8) % 8)
  }

  /// The whole file.
  package func bytes() -> [UInt8] {
    var builder = ByteBuilder()
    let header = header()
    builder.append(headerLength ?? UInt64(header.utf8.count))
    builder.bytes += header.utf8
    for tensor in tensors { builder.bytes += tensor.data }
    return builder.bytes + trailing
  }
}
