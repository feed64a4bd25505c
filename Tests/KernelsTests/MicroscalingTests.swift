import Kernels
import TestSupport
import Testing

/// MXFP4, whose scales reach beyond those of every half, and all scales of IQ4_XS.
@Suite struct MicroscalingTests {
  /// Row e has the exponent e and every value twice, in an order of its own.
  private func rows(_ exponents: ClosedRange<Int>) -> GGUFRows {
    var bytes: [UInt8] = []
    for exponent in exponents {
      bytes.append(UInt8(exponent))
      for index in 0..<16 {
        let (low, high) = ((5 * index + exponent) % 16, (3 * index + 7) % 16)
        bytes.append(UInt8(16 * high + low))
      }
    }
    return GGUFRows(type: .mxfp4, columns: 32, bytes: bytes)
  }

  @Test func everyValueOfEveryExponentReadsBack() {
    let rows = rows(0...255)
    let matrix = rows.packed()
    var row = [Float](repeating: .nan, count: 32)
    for exponent in 0...255 {
      matrix.copyRow(exponent, to: &row)
      // Above 6 * 2^125 values are out of reach and become infinities.
      #expect(row == (0..<32).map { Float(rows.value(exponent, $0)) }, "\(exponent)")
    }
    #expect(row.contains(.infinity) && row.contains(0x1p127) && !row.contains { $0.isNaN })
    matrix.copyRow(0, to: &row)
    #expect(row.contains(0x1p-128) && row.contains(0x1.8p-125))
  }

  @Test(arguments: [Arithmetic.float32, .int8])
  func productsWithEveryExponentMatchFloat64(arithmetic: Arithmetic) throws {
    let team = try WorkerTeam(threads: 1)
    // Integers multiply before the scale does, so that they reach further than floats.
    let exponents = 0...(arithmetic == .int8 ? 254 : 252)
    let rows = rows(exponents)
    let matrix = rows.packed()
    let tokens = 6
    let activations = Activations(capacity: tokens, columns: 32)
    for instructions in InstructionSet.available {
      for power in [Float(0x1p20), 0x1p-20] {
        // Integers up to 127 are their own quants.
        for index in 0..<32 * tokens { activations.values[index] = power * Float(index * 37 % 255 - 127) }
        for index in stride(from: 0, to: 32 * tokens, by: 32) { activations.values[index] = 127 * power }
        activations.quantize(tokens: tokens, with: instructions)
        let out = Buffer<Float>(count: tokens * rows.rows)
        for count in [1, tokens] {
          instructions.linear(
            LinearSegment(matrix, out: out.pointer, stride: rows.rows), activations: activations, tokens: count,
            arithmetic: arithmetic, team: team)
          for token in 0..<count {
            for exponent in exponents where (exponent < 128) == (power > 1) {
              let products = (0..<32).map { rows.value(exponent, $0) * Double(activations[token][$0]) }
              let (sum, magnitude) = (products.reduce(0, +), products.reduce(0) { $0 + abs($1) })
              let found = Double(out[token * rows.rows + exponent])
              #expect(abs(found - sum) <= 1e-6 * magnitude, "\(exponent), \(count) tokens, \(instructions)")
            }
          }
        }
      }
    }
  }

  /// Each of the 64 scales in each of the 8 places of a block.
  @Test func everyScaleOfIQ4_XSReadsBack() {
    var bytes: [UInt8] = []
    for row in 0..<64 {
      var block = [UInt8](repeating: 0, count: 8) + [UInt8](repeating: 0x0f, count: 128)
      block[1] = 0x3c  // the half of 1
      for part in 0..<8 {
        let scale = UInt8((row + 9 * part) % 64)
        block[2 + part / 4] |= (scale >> 4) << (2 * (part % 4))
        block[4 + part / 2] |= (scale & 15) << (4 * (part % 2))
      }
      bytes += block
    }
    let rows = GGUFRows(type: .iq4_XS, columns: 256, bytes: bytes)
    let matrix = rows.packed()
    var row = [Float](repeating: .nan, count: 256)
    for index in 0..<64 {
      matrix.copyRow(index, to: &row)
      for column in 0..<256 {
        let scale = (index + 9 * (column / 32)) % 64 - 32
        #expect(row[column] == Float(scale * (column % 32 < 16 ? 113 : -127)))
      }
    }
  }
}
