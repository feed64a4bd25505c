/// Appends little-endian fields to a section.
package struct SectionWriter {
  package private(set) var bytes: [UInt8] = []

  package init() {}

  package mutating func reserve(_ count: Int) { bytes.reserveCapacity(bytes.count + count) }

  package mutating func write<Value: FixedWidthInteger>(_ value: Value) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  package mutating func write(_ text: String) {
    write(UInt32(text.utf8.count))
    bytes.append(contentsOf: text.utf8)
  }

  package mutating func write(_ raw: UnsafeRawBufferPointer) { bytes.append(contentsOf: raw) }
}

/// Takes fields off a section, checking that each one is there.
package struct SectionReader {
  private let bytes: UnsafeRawBufferPointer
  private(set) var offset = 0

  package init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  package var remaining: Int { bytes.count - offset }

  package mutating func take(_ count: Int) throws(KVCacheError) -> UnsafeRawBufferPointer {
    guard count >= 0, count <= remaining else {
      throw .badSnapshot("it ends at byte \(bytes.count), in a field at \(offset)")
    }
    defer { offset += count }
    return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
  }

  package mutating func read<Value: FixedWidthInteger>(_ type: Value.Type = Value.self) throws(KVCacheError) -> Value {
    Value(littleEndian: try take(MemoryLayout<Value>.size).loadUnaligned(as: Value.self))
  }

  package mutating func readText() throws(KVCacheError) -> String {
    let length = Int(try read(UInt32.self))
    return String(decoding: try take(length), as: UTF8.self)
  }
}

extension SectionWriter {
  /// Appends numbers as they lie in memory.
  mutating func write<Value: BitwiseCopyable>(_ values: UnsafePointer<Value>, count: Int) {
    write(UnsafeRawBufferPointer(start: values, count: count * MemoryLayout<Value>.stride))
  }
}

extension SectionReader {
  /// Takes numbers up as they lay in memory.
  mutating func read<Value: BitwiseCopyable>(
    into values: UnsafeMutablePointer<Value>, count: Int
  ) throws(KVCacheError) {
    let bytes = try take(count * MemoryLayout<Value>.stride)
    UnsafeMutableRawBufferPointer(start: values, count: bytes.count).copyMemory(from: bytes)
  }

  /// Takes bytes up into memory.
  mutating func read(into target: UnsafeMutableRawBufferPointer) throws(KVCacheError) {
    target.copyMemory(from: try take(target.count))
  }

  /// A count from 0 to `limit`.
  mutating func readCount(limit: Int) throws(KVCacheError) -> Int {
    let count = try read(Int64.self)
    guard (0...Int64(limit)).contains(count) else { throw .badSnapshot("a count of \(count) where \(limit) is most") }
    return Int(count)
  }
}

extension SectionWriter {
  package mutating func write(_ name: SectionName) {
    write(Int32(name.group))
    write(Int32(name.layer))
    write(UInt32(name.block))
    write(name.state)
  }
}

extension SectionReader {
  package mutating func readName() throws(KVCacheError) -> SectionName {
    let (group, layer, block) = (try read(Int32.self), try read(Int32.self), try read(UInt32.self))
    return SectionName(group: Int(group), layer: Int(layer), state: try readText(), block: Int(block))
  }
}
