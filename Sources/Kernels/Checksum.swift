import CKernels

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4), eight bytes a step.
package enum Checksum {
  /// The remainder of each byte followed by 0 to 7 zero bytes, `[zero bytes, byte]`.
  private static let table: [UInt32] = {
    var table = [UInt32](repeating: 0, count: 8 * 256)
    for byte in 0..<256 {
      var value = UInt32(byte)
      for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0x82F6_3B78 : value >> 1 }
      table[byte] = value
    }
    for index in 256..<table.count { table[index] = table[Int(table[index - 256] & 0xFF)] ^ table[index - 256] >> 8 }
    return table
  }()

  private static let hasInstruction = sluice_has_crc32c() != 0

  package static func crc32c(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    hasInstruction ? sluice_crc32c(bytes.baseAddress, bytes.count) : tabulated(bytes)
  }

  /// The same without the CPU's instruction.
  package static func tabulated(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    table.withUnsafeBufferPointer { table in
      var crc: UInt32 = .max
      var offset = 0
      while offset + 8 <= bytes.count {
        let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) ^ UInt64(crc)
        crc = 0
        for index in 0..<8 { crc ^= table[(7 - index) * 256 + Int(word >> (8 * UInt64(index)) & 0xFF)] }
        offset += 8
      }
      while offset < bytes.count {
        crc = table[Int((crc ^ UInt32(bytes[offset])) & 0xFF)] ^ crc >> 8
        offset += 1
      }
      return ~crc
    }
  }
}
