/// Appends little-endian fields to a frame's contents.
package struct MessageWriter {
  package private(set) var bytes: [UInt8] = []

  package init() {}

  package mutating func write<Value: FixedWidthInteger>(_ value: Value) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  package mutating func write(_ value: Float) { write(value.bitPattern) }
  package mutating func write(_ value: Double) { write(value.bitPattern) }

  /// A text, or other bytes, behind its length.
  package mutating func write(_ contents: some Collection<UInt8>) {
    write(UInt32(contents.count))
    bytes.append(contentsOf: contents)
  }
}

/// Takes fields off a frame's contents, checking that each is there; a count never makes room before its elements are there.
package struct MessageReader {
  private let bytes: UnsafeRawBufferPointer
  private var offset = 0

  package init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  package var remaining: Int { bytes.count - offset }

  package mutating func read<Value: FixedWidthInteger>(
    _ type: Value.Type = Value.self
  ) throws(OffloadError) -> Value {
    guard MemoryLayout<Value>.size <= remaining else { throw .badFrame("it ends in a field") }
    defer { offset += MemoryLayout<Value>.size }
    return Value(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Value.self))
  }

  /// A finite number.
  package mutating func readFloat() throws(OffloadError) -> Float {
    let value = Float(bitPattern: try read())
    guard value.isFinite else { throw .badFrame("a number that is not finite") }
    return value
  }

  /// A finite number.
  package mutating func readDouble() throws(OffloadError) -> Double {
    let value = Double(bitPattern: try read())
    guard value.isFinite else { throw .badFrame("a number that is not finite") }
    return value
  }

  /// An integer of a range.
  package mutating func readCount<Value: FixedWidthInteger>(
    _ type: Value.Type, _ range: ClosedRange<Int>, _ what: String
  ) throws(OffloadError) -> Int {
    guard let value = Int(exactly: try read(type)), range.contains(value) else {
      throw .badFrame("\(what) that cannot be")
    }
    return value
  }

  package mutating func readBytes() throws(OffloadError) -> [UInt8] {
    let count = Int(try read(UInt32.self))
    guard count <= remaining else { throw .badFrame("it ends in a text") }
    defer { offset += count }
    return Array(bytes[offset..<offset + count])
  }

  package mutating func readText() throws(OffloadError) -> String { String(decoding: try readBytes(), as: UTF8.self) }

  package func end() throws(OffloadError) {
    guard remaining == 0 else { throw .badFrame("\(remaining) bytes too long") }
  }
}
