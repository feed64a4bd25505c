/// The alphabet in which byte-level BPE spells bytes as printable characters (Radford et al. 2019).
///
/// The printable bytes of Latin-1 stand for themselves, the other 68 for U+0100 to U+0143 in order.
enum ByteAlphabet {
  /// The scalar of each byte.
  static let scalars: [UInt32] = {
    var next: UInt32 = 0x100
    return (0..<256).map { (byte: UInt32) in
      if (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || byte >= 0xAE { return byte }
      next += 1
      return next - 1
    }
  }()

  /// The byte of each scalar below U+0144, -1 where the alphabet has none.
  private static let bytes: [Int16] = {
    var table = [Int16](repeating: -1, count: 0x144)
    for (byte, scalar) in scalars.enumerated() { table[Int(scalar)] = Int16(byte) }
    return table
  }()

  /// Appends the bytes that a token spells; false, and nothing appended, where a scalar is not of the alphabet.
  static func append(_ spelling: some Sequence<UInt8>, to result: inout [UInt8]) -> Bool {
    let table = bytes
    let start = result.count
    var lead: UInt8 = 0
    for byte in spelling {
      var scalar = Int(byte)
      if lead != 0 {
        scalar = Int(lead & 0x1F) << 6 | Int(byte & 0x3F)
        lead = 0
      } else if byte & 0xE0 == 0xC0 {
        lead = byte
        continue
      } else if byte >= 0x80 {
        scalar = table.count
      }
      guard scalar < table.count, table[scalar] >= 0 else {
        result.removeSubrange(start...)
        return false
      }
      result.append(UInt8(table[scalar]))
    }
    return true
  }
}
