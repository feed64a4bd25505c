import ModelJSON

/// Reads the header of a safetensors file: a length, that many bytes of JSON, then the tensors' bytes without a gap.
///
/// Refuses what the format forbids: ranges that overlap, leave bytes over or disagree with their shape.
/// Source: the format's description in huggingface/safetensors, README.
struct SafetensorsReader {
  /// The format's own limit for the JSON.
  private static let headerLimit = 100_000_000
  private static let metadataKey = "__metadata__"

  private(set) var tensors: [StoredTensor] = []
  /// The strings under `__metadata__`.
  private(set) var metadata = JSONObject()

  init(_ file: MappedFile, fileIndex: Int) throws(WeightsError) {
    var reader = ByteReader(file)
    let length = try reader.count(minimumBytes: 1, "the length of the header")
    guard length <= Self.headerLimit else {
      throw reader.failure(
        .implausible(part: "the length of the header", value: UInt64(length), limit: Self.headerLimit), at: 0)
    }
    let dataStart = reader.position + length
    let text = UnsafeRawBufferPointer(rebasing: file.bytes[reader.position..<dataStart])
    for (name, value) in try Self.header(text, path: file.path) {
      if name == Self.metadataKey {
        metadata = try Self.metadata(value, path: file.path)
      } else {
        tensors.append(try Self.tensor(name, value, dataStart: dataStart, file: file, fileIndex: fileIndex))
      }
    }
    try TensorTable.checkRanges(of: tensors, covering: dataStart..<file.bytes.count, path: file.path)
    if tensors.isEmpty, dataStart < file.bytes.count {
      throw reader.failure(.header(reason: "tensor data without a tensor"), at: dataStart)
    }
  }

  /// The tensors by name, second names included.
  func table(path: String) throws(WeightsError) -> TensorTable {
    var table = TensorTable()
    for tensor in tensors { try table.add(tensor, path: path) }
    table.addAliases(metadata)
    return table
  }

  private static func header(_ text: UnsafeRawBufferPointer, path: String) throws(WeightsError) -> JSONObject {
    let value: JSONValue
    do {
      value = try JSONValue(parsing: text)
    } catch {
      throw WeightsError(.header(reason: error.description), path: path, offset: 8 + error.offset)
    }
    guard let header = value.object else {
      throw WeightsError(.header(reason: "it is \(value.kind), not an object"), path: path, offset: 8)
    }
    if let name = header.repeatedKey { throw WeightsError(.duplicateTensor, path: path, subject: .tensor(name)) }
    return header
  }

  private static func metadata(_ value: JSONValue, path: String) throws(WeightsError) -> JSONObject {
    guard let object = value.object, object.values.allSatisfy({ $0.string != nil }) else {
      throw WeightsError(.header(reason: "\(metadataKey) is no object of strings"), path: path)
    }
    return object
  }

  private static func tensor(
    _ name: String, _ value: JSONValue, dataStart: Int, file: MappedFile, fileIndex: Int
  ) throws(WeightsError) -> StoredTensor {
    let failure = { WeightsError($0, path: file.path, subject: .tensor(name)) }
    let malformed = { (reason: String) in failure(.header(reason: reason)) }
    guard let typeName = value["dtype"]?.string else { throw malformed("its dtype is no string") }
    guard let dimensions = value["shape"]?.array else { throw malformed("its shape is no array") }
    guard let offsets = value["data_offsets"]?.array, offsets.count == 2,
      let start = offsets[0].integer, let end = offsets[1].integer, start >= 0
    else { throw malformed("its data_offsets are not two offsets") }
    guard dimensions.count <= 8 else { throw failure(.dimensionCount(UInt64(dimensions.count))) }
    var shape: [Int] = []
    for dimension in dimensions {
      guard let size = dimension.integer, (0...Int(Int32.max)).contains(size) else {
        throw failure(.badDimension(dimension.text))
      }
      shape.append(size)
    }
    let available = file.bytes.count - dataStart
    guard start <= end else { throw malformed("its data_offsets are reversed") }
    guard end <= available else { throw failure(.beyondFile(end: String(end), size: available)) }
    let type = StoredType.safetensors(typeName)
    let needed = try TensorTable.byteCount(of: name, shape: shape, type: type, path: file.path)
    guard needed == nil || needed == end - start else {
      throw failure(.sizeMismatch(stored: end - start, needed: needed ?? 0, type: type.name))
    }
    return StoredTensor(
      name: name, type: type, shape: shape, fileIndex: fileIndex, byteRange: dataStart + start..<dataStart + end)
  }
}
