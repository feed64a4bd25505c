/// CRC-32C (Castagnoli, RFC 3720 appendix B.4), eight bytes a step.
struct Checksum {
  private static let tables: [[UInt32]] = {
    var first = [UInt32](repeating: 0, count: 256)
    for byte in 0..<256 {
      var value = UInt32(byte)
      for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0x82F6_3B78 : value >> 1 }
      first[byte] = value
    }
    var tables = [first]
    for _ in 1..<8 { tables.append(tables.last!.map { first[Int($0 & 0xFF)] ^ $0 >> 8 }) }
    return tables
  }()

  static func crc32c(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    var crc: UInt32 = .max
    let tables = tables
    var offset = 0
    while offset + 8 <= bytes.count {
      let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) ^ UInt64(crc)
      crc = 0
      for index in 0..<8 { crc ^= tables[7 - index][Int(truncatingIfNeeded: word >> (8 * UInt64(index)) & 0xFF)] }
      offset += 8
    }
    while offset < bytes.count {
      crc = tables[0][Int((crc ^ UInt32(bytes[offset])) & 0xFF)] ^ crc >> 8
      offset += 1
    }
    return ~crc
  }
}
