import KVCaches

/// Changes the counters of a snapshot and makes its checksum right again, as an attacker would.
struct SnapshotForge {
  private var bytes: [UInt8]
  /// Where the counters lie: the token count, then the counters of every stage.
  private(set) var counters: [Int] = []

  /// - Parameter stages: how many stages' counters to find; 0 for the token count alone.
  init(_ snapshot: [UInt8], stages: Int) {
    bytes = snapshot
    let identity = Int(integer(at: 12, UInt32.self))
    var offset = 16 + identity
    counters.append(offset)
    offset += 12
    for _ in 0..<stages {
      let count = Int(integer(at: offset, UInt32.self))
      for index in 0..<count { counters.append(offset + 4 + 8 * index) }
      offset += 4 + 8 * count
    }
  }

  private func integer<Value: FixedWidthInteger>(at offset: Int, _ type: Value.Type) -> Value {
    bytes[offset..<offset + MemoryLayout<Value>.size].reversed().reduce(0) { $0 << 8 | Value($1) }
  }

  func counter(_ index: Int) -> Int64 { Int64(bitPattern: integer(at: counters[index], UInt64.self)) }

  /// The snapshot with other counters, given by index.
  func with(_ changes: [Int: Int64]) -> [UInt8] {
    changes.reduce(into: self) { forged, change in
      forged.write(UInt64(bitPattern: change.value), at: counters[change.key])
    }.sealed()
  }

  func with(tokenCount: Int64) -> [UInt8] { with([0: tokenCount]) }

  /// The snapshot with another 32-bit field.
  func with(_ value: UInt32, at offset: Int) -> [UInt8] {
    var forged = self
    forged.write(value, at: offset)
    return forged.sealed()
  }

  /// The snapshot with bytes taken off its end, before the checksum, or put there.
  func with(payloadBytes change: Int) -> [UInt8] {
    var forged = self
    let end = forged.bytes.count - 4
    if change < 0 { forged.bytes.removeSubrange(end + change..<end) }
    if change > 0 { forged.bytes.insert(contentsOf: [UInt8](repeating: 0, count: change), at: end) }
    return forged.sealed()
  }

  private mutating func write<Value: FixedWidthInteger>(_ value: Value, at offset: Int) {
    for index in 0..<MemoryLayout<Value>.size {
      bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * index))
    }
  }

  private func sealed() -> [UInt8] {
    var forged = self
    forged.write(Self.crc32c(bytes.dropLast(4)), at: bytes.count - 4)
    return forged.bytes
  }

  /// CRC-32C bit by bit, apart from the table in the sources.
  static func crc32c(_ bytes: some Sequence<UInt8>) -> UInt32 {
    ~bytes.reduce(UInt32.max) { crc, byte in
      (0..<8).reduce(crc ^ UInt32(byte)) { crc, _ in crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
    }
  }
}
