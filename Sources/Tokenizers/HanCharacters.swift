/// The characters of the script Han, `\p{Han}` (Unicode's Scripts.txt).
enum HanCharacters {
  private static let set = ScalarSet(ranges: [
    0x2E80...0x2E99, 0x2E9B...0x2EF3, 0x2F00...0x2FD5, 0x3005...0x3005, 0x3007...0x3007, 0x3021...0x3029,
    0x3038...0x303B, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xF900...0xFA6D, 0xFA70...0xFAD9, 0x16FE2...0x16FE3,
    0x16FF0...0x16FF6, 0x20000...0x2A6DF, 0x2A700...0x2B81E, 0x2B820...0x2CEAD, 0x2CEB0...0x2EBE0, 0x2EBF0...0x2EE5D,
    0x2F800...0x2FA1D, 0x30000...0x3134A, 0x31350...0x33479,
  ])

  @inline(__always)
  static func contains(_ scalar: UInt32) -> Bool { scalar >= 0x2E80 && set.contains(scalar, []) }

  static func endOfRun(in text: ScalarText, from start: Int, to end: Int) -> Int {
    var position = start
    while position < end {
      let (value, length) = text.scalar(at: position, end: end)
      if !contains(value) { break }
      position += length
    }
    return position
  }
}
