/// Reads the header of a GGUF file (versions 2 and 3, little-endian): where every metadata value and tensor lies.
///
/// Layout: magic, version, tensor count, key count; per key its name, type and value; per tensor its name, dimensions
/// (innermost first), type and offset; padding to `general.alignment`; tensor data. Nothing is decoded but names, so
/// the cost is one pass over the header. Every count is checked against the bytes that are left before it is used.
/// Source: docs/gguf.md of ggml-org/ggml.
struct GGUFReader {
  static let magic: [UInt8] = Array("GGUF".utf8)
  private static let defaultAlignment = 32
  private static let alignmentKey = "general.alignment"
  private static let nameLimit = 65_535

  let version: Int
  private(set) var keys: [String] = []
  private(set) var values: [String: GGUFValue] = [:]
  private(set) var tensors: [StoredTensor] = []

  private struct Entry {
    let name: String
    let shape: [Int]
    let type: StoredType
    let offset: UInt64
    /// Where the offset stands in the header.
    let position: Int
  }

  /// - Parameter fileIndex: the file's place among the model's.
  init(_ file: MappedFile, fileIndex: Int = 0) throws(WeightsError) {
    var reader = ByteReader(file)
    try reader.skip(Self.magic.count, "the magic")
    let number: UInt32 = try reader.read("the version")
    guard number & 0xffff != 0 || number == 0 else { throw reader.failure(.bigEndian, at: 4) }
    guard number == 2 || number == 3 else { throw reader.failure(.version(number), at: 4) }
    version = Int(number)
    // A tensor takes at least 32 bytes of header, a key 13.
    let tensorCount = try reader.count(minimumBytes: 32, "the number of tensors")
    let keyCount = try reader.count(minimumBytes: 13, "the number of metadata keys")
    for _ in 0..<keyCount { try readKey(&reader) }
    let alignment = try alignment(file)
    var entries: [Entry] = []
    for _ in 0..<tensorCount { entries.append(try Self.entry(&reader)) }
    let padding = (alignment - reader.position % alignment) % alignment
    let dataStart = min(reader.position + padding, file.bytes.count)
    for entry in entries {
      tensors.append(
        try Self.place(entry, dataStart: dataStart, alignment: alignment, file: file, fileIndex: fileIndex))
    }
    try TensorTable.checkRanges(of: tensors, path: file.path)
  }

  private mutating func readKey(_ reader: inout ByteReader) throws(WeightsError) {
    let start = reader.position
    let key = try reader.string(limit: Self.nameLimit, "a metadata key")
    reader.subject = .key(key)
    let value = try reader.value(try reader.valueType())
    guard values.updateValue(value, forKey: key) == nil else { throw reader.failure(.duplicateKey, at: start) }
    keys.append(key)
    reader.subject = .file
  }

  private func alignment(_ file: MappedFile) throws(WeightsError) -> Int {
    let metadata = Metadata(gguf: file, keys: keys, values: values)
    guard let value = try metadata.integer(ifPresent: Self.alignmentKey) else { return Self.defaultAlignment }
    guard value >= 8, value <= 1 << 20, value & (value - 1) == 0 else {
      throw WeightsError(.badAlignment(String(value)), path: file.path, subject: .key(Self.alignmentKey))
    }
    return value
  }

  private static func entry(_ reader: inout ByteReader) throws(WeightsError) -> Entry {
    let name = try reader.string(limit: nameLimit, "a tensor's name")
    reader.subject = .tensor(name)
    let dimensionCount: UInt32 = try reader.read("its dimensions")
    guard (1...4).contains(dimensionCount) else {
      throw reader.failure(.dimensionCount(UInt64(dimensionCount)), at: reader.position - 4)
    }
    var shape: [Int] = []
    for _ in 0..<dimensionCount {
      let dimension: UInt64 = try reader.read("its dimensions")
      guard dimension <= UInt64(Int32.max) else {
        throw reader.failure(.badDimension(String(dimension)), at: reader.position - 8)
      }
      shape.append(Int(dimension))
    }
    let type = StoredType.gguf(try reader.read("its type"))
    let position = reader.position
    let offset: UInt64 = try reader.read("its offset")
    reader.subject = .file
    return Entry(name: name, shape: shape.reversed(), type: type, offset: offset, position: position)
  }

  /// Turns an offset into a range that lies inside the file.
  private static func place(
    _ entry: Entry, dataStart: Int, alignment: Int, file: MappedFile, fileIndex: Int
  ) throws(WeightsError) -> StoredTensor {
    let available = file.bytes.count - dataStart
    let failure = { (code: WeightsError.Code) in
      WeightsError(code, path: file.path, subject: .tensor(entry.name), offset: entry.position)
    }
    guard entry.offset % UInt64(alignment) == 0 else {
      throw failure(.unaligned(offset: entry.offset, alignment: alignment))
    }
    let needed = try TensorTable.byteCount(of: entry.name, shape: entry.shape, type: entry.type, path: file.path)
    let (end, overflow) = entry.offset.addingReportingOverflow(UInt64(needed ?? 0))
    guard !overflow, end <= UInt64(available) else {
      throw failure(.beyondFile(end: overflow ? "2^64" : String(end), size: available))
    }
    let start = dataStart + Int(entry.offset)
    return StoredTensor(
      name: entry.name, type: entry.type, shape: entry.shape, fileIndex: fileIndex,
      byteRange: start..<start + (needed ?? 0))
  }
}
