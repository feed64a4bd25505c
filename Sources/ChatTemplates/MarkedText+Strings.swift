extension MarkedText {
  /// The scalars of a string, each with some bits set; about a nanosecond a character, since whole conversations go through.
  static func units(of string: String, marked bits: UInt32) -> [UInt32] {
    var string = string
    return string.withUTF8 { bytes in
      [UInt32](unsafeUninitializedCapacity: bytes.count) { units, count in
        var place = 0
        while place < bytes.count {
          let first = UInt32(bytes[place])
          var (scalar, length) = (first, 1)
          // A string is well-formed, so the first byte says how many follow.
          if first >= 0xC0 {
            length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
            scalar = first & (0x7F >> UInt32(length))
            for next in 1..<length { scalar = scalar << 6 | UInt32(bytes[place + next]) & 0x3F }
          }
          units[count] = scalar | bits
          count += 1
          place += length
        }
      }
    }
  }

  static func string(_ units: ArraySlice<UInt32>) -> String {
    units.withUnsafeBufferPointer { units in
      let length = units.reduce(0) { $0 + Self.length(of: $1 & scalarMask) }
      return String(unsafeUninitializedCapacity: length) { bytes in
        var place = 0
        for unit in units {
          let scalar = unit & scalarMask
          if scalar < 0x80 {
            bytes[place] = UInt8(truncatingIfNeeded: scalar)
            place += 1
          } else {
            for byte in UTF8.encode(Unicode.Scalar(scalar) ?? "\u{FFFD}") ?? UTF8.encodedReplacementCharacter {
              bytes[place] = byte
              place += 1
            }
          }
        }
        return place
      }
    }
  }

  /// Bytes of a scalar in UTF-8; of what is none, those of U+FFFD.
  private static func length(of scalar: UInt32) -> Int {
    scalar < 0x80 ? 1 : scalar < 0x800 ? 2 : scalar < 0x10000 || scalar > 0x10FFFF ? 3 : 4
  }
}
