extension PackedMatrix {
  /// Packs floats [row, column]: as F16 where that changes none of them, else as F32.
  ///
  /// - Precondition: there are `rows * columns` values.
  package static func packing(_ values: [Float], rows: Int, columns: Int) -> PackedMatrix {
    func packed(_ type: ElementType, _ source: UnsafeRawBufferPointer) -> PackedMatrix {
      PackedMatrix(type: type, rows: rows, columns: columns, source: source, team: nil)
    }
    if let halves = halves(equalTo: values) { return halves.withUnsafeBytes { packed(.float16, $0) } }
    return values.withUnsafeBytes { packed(.float32, $0) }
  }

  private static func halves(equalTo values: [Float]) -> [UInt16]? {
    var halves: [UInt16] = []
    halves.reserveCapacity(values.count)
    for value in values {
      guard let half = half(equalTo: value) else { return nil }
      halves.append(half)
    }
    return halves
  }

  /// The bits of the IEEE 754 binary16 number that equals a value; nil where there is none, as for infinities and NaN.
  static func half(equalTo value: Float) -> UInt16? {
    let sign = UInt16(value.bitPattern >> 16 & 0x8000)
    let magnitude = value.bitPattern & 0x7fff_ffff
    if magnitude == 0 { return sign }
    let exponent = Int(magnitude >> 23) - 127
    let significand = magnitude & 0x7f_ffff | 0x80_0000
    guard (-24...15).contains(exponent) else { return nil }
    // Below 2^-14 the steps of binary16 are 2^-24; the significand counts steps of 2^(exponent - 23).
    let dropped = exponent >= -14 ? 13 : -1 - exponent
    guard significand & (1 << dropped - 1) == 0 else { return nil }
    let steps = UInt16(significand >> dropped)
    return exponent >= -14 ? sign | UInt16(exponent + 14) << 10 + steps : sign | steps
  }
}
