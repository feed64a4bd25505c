import Kernels

/// The formats by their definition, a value at a time and in Float64, without any code under test.
extension ElementType {
  /// IQ4_NL's and IQ4_XS's values of a nibble, and MXFP4's.
  private static let nonlinear = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]
  private static let magnitudes = [0, 0.5, 1, 1.5, 2, 3, 4, 6]

  /// Where the half-precision scale and, in types that have one, the minimum of a block lie.
  var offsetsOfHalves: [Int] {
    switch self {
    case .q2_K: [80, 82]
    case .q3_K: [108]
    case .q6_K: [208]
    case .mxfp4: []
    case .q4_1, .q5_1, .q4_K, .q5_K: [0, 2]
    default: [0]
    }
  }

  /// The values of one block.
  func values(ofBlock block: ArraySlice<UInt8>) -> [Double] {
    let bytes = block.map { Int($0) }
    func half(_ offset: Int) -> Double { Double(Float16(bitPattern: UInt16(bytes[offset] | bytes[offset + 1] << 8))) }
    func bits(_ byte: Int, _ shift: Int, _ count: Int) -> Int { bytes[byte] >> shift & (1 << count - 1) }
    func signed(_ byte: Int) -> Int { Int(Int8(truncatingIfNeeded: bytes[byte])) }
    /// Column c of 32 in nibbles, the first 16 columns in the low ones.
    func nibble(_ start: Int, _ c: Int) -> Int { bits(start + c % 16, c / 16 * 4, 4) }
    func fifth(_ start: Int, _ c: Int) -> Int { bits(start + c / 8, c % 8, 1) << 4 }
    let scale = offsetsOfHalves.first.map { half($0) } ?? 0
    let minimum = offsetsOfHalves.count > 1 ? half(offsetsOfHalves[1]) : 0
    return (0..<blockSize).map { c in
      // The K types: which 32 columns, and the place of this one among them.
      let (part, l) = (c / 32, c % 32)
      switch self {
      case .float32: return Double(Float(bitPattern: bytes.indices.reduce(0) { $0 | UInt32(bytes[$1]) << (8 * $1) }))
      case .float16: return scale
      case .bfloat16: return Double(Float(bitPattern: UInt32(bytes[0] | bytes[1] << 8) << 16))
      case .q8_0: return scale * Double(signed(2 + c))
      case .q4_0: return scale * Double(nibble(2, c) - 8)
      case .q4_1: return scale * Double(nibble(4, c)) + minimum
      case .q5_0: return scale * Double((nibble(6, c) | fifth(2, c)) - 16)
      case .q5_1: return scale * Double(nibble(8, c) | fifth(4, c)) + minimum
      case .iq4_NL:
        return scale * Double(Self.nonlinear[nibble(2, c)])
      case .iq4_XS:
        let small = bits(4 + part / 2, part % 2 * 4, 4) | bits(2 + part / 4, part % 4 * 2, 2) << 4
        return scale * Double(small - 32) * Double(Self.nonlinear[nibble(8 + 16 * part, l)])
      case .mxfp4:
        let (sign, magnitude) = (bits(1 + c % 16, c / 16 * 4 + 3, 1), bits(1 + c % 16, c / 16 * 4, 3))
        let power = Double(sign: .plus, exponent: bytes[0] - 127, significand: 1)
        return (sign == 0 ? 1 : -1) * Self.magnitudes[magnitude] * power
      case .q2_K:
        let quant = bits(16 + 32 * (part / 4) + l, 2 * (part % 4), 2)
        return scale * Double(bits(c / 16, 0, 4) * quant) - minimum * Double(bits(c / 16, 4, 4))
      case .q3_K:
        let index = c / 16
        let small = bits(96 + index % 8, index / 8 * 4, 4) | bits(104 + index % 4, index / 4 * 2, 2) << 4
        let quant = bits(32 + 32 * (part / 4) + l, 2 * (part % 4), 2) - (bits(l, part, 1) == 1 ? 0 : 4)
        return scale * Double((small - 32) * quant)
      case .q4_K, .q5_K:
        let small: [Int]
        if part < 4 {
          small = [bits(4 + part, 0, 6), bits(8 + part, 0, 6)]
        } else {
          small = [
            bits(8 + part, 0, 4) | bits(part, 6, 2) << 4, bits(8 + part, 4, 4) | bits(4 + part, 6, 2) << 4,
          ]
        }
        let nibbles = self == .q4_K ? 16 : 48
        let fifth = self == .q4_K ? 0 : bits(16 + l, part, 1) << 4
        let quant = bits(nibbles + 32 * (part / 2) + l, part % 2 * 4, 4) | fifth
        return scale * Double(small[0] * quant) - minimum * Double(small[1])
      case .q6_K:
        let (half, quarter) = (part / 4, part % 4)
        let low = bits(64 * half + 32 * (quarter % 2) + l, quarter / 2 * 4, 4)
        let quant = low | bits(128 + 32 * half + l, 2 * quarter, 2) << 4
        return scale * Double(signed(192 + c / 16) * (quant - 32))
      }
    }
  }
}
