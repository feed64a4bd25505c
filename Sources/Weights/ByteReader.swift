import ModelJSON

/// A cursor over a file's bytes that reads little-endian values and never leaves the file.
struct ByteReader {
  let bytes: UnsafeRawBufferPointer
  let path: String
  /// What the bytes at hand belong to, for errors.
  var subject = WeightsError.Subject.file
  private(set) var position = 0

  init(_ file: MappedFile, at position: Int = 0) {
    bytes = file.bytes
    path = file.path
    self.position = position
  }

  var remaining: Int { bytes.count - position }

  func failure(_ code: WeightsError.Code, at offset: Int? = nil) -> WeightsError {
    WeightsError(code, path: path, subject: subject, offset: offset ?? position)
  }

  /// Reads one integer or bit pattern; throws where fewer bytes are left.
  mutating func read<Value: FixedWidthInteger>(
    as _: Value.Type = Value.self, _ part: @autoclosure () -> String
  ) throws(WeightsError) -> Value {
    let width = Value.bitWidth / 8
    guard remaining >= width else { throw failure(.truncated(part: part())) }
    defer { position += width }
    return Value(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: Value.self))
  }

  mutating func skip(_ count: Int, _ part: @autoclosure () -> String) throws(WeightsError) {
    guard count >= 0, remaining >= count else { throw failure(.truncated(part: part())) }
    position += count
  }

  /// Reads a count of things that take at least `minimumBytes` each; throws where the file cannot hold them.
  mutating func count(minimumBytes: Int, _ part: @autoclosure () -> String) throws(WeightsError) -> Int {
    let start = position
    let value: UInt64 = try read(part())
    let limit = remaining / minimumBytes
    guard value <= UInt64(limit) else {
      throw failure(.implausible(part: part(), value: value, limit: limit), at: start)
    }
    return Int(value)
  }

  /// The bytes of a string: its length as 64 bits, then itself.
  mutating func stringRange(_ part: @autoclosure () -> String) throws(WeightsError) -> Range<Int> {
    let length = try count(minimumBytes: 1, "the length of \(part())")
    defer { position += length }
    return position..<position + length
  }

  mutating func string(limit: Int, _ part: @autoclosure () -> String) throws(WeightsError) -> String {
    let start = position
    let range = try stringRange(part())
    guard range.count <= limit else {
      throw failure(
        .implausible(part: "the length of \(part())", value: UInt64(range.count), limit: limit), at: start)
    }
    let characters = UnsafeRawBufferPointer(rebasing: bytes[range]).bindMemory(to: UInt8.self)
    guard let text = String(validUTF8: characters) else {
      throw failure(.invalidText(part: part()), at: range.lowerBound)
    }
    return text
  }
}
