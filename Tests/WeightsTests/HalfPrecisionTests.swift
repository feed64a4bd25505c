import TestSupport
import Testing
import Weights

/// All 65,536 halves and bfloat16 values, read through a tensor, against the definition of the formats.
struct HalfPrecisionTests {
  private func read(type: UInt32) throws -> [Float] {
    var builder = ByteBuilder()
    for bits in UInt16.min...UInt16.max { builder.append(bits) }
    var writer = GGUFWriter()
    writer.add("all", [256, 256], type: type, data: builder.bytes)
    let model = try withTemporaryDirectory { try WeightFile.open(write(writer.bytes(), to: "model", in: $0)) }
    return try #require(try model.tensor("all").floats())
  }

  /// The value by the definition: sign, exponent with its bias, fraction with or without the hidden bit.
  private func value(_ bits: Int, exponentBits: Int, fractionBits: Int) -> Double {
    let bias = 1 << (exponentBits - 1) - 1
    let exponent = bits >> fractionBits & (1 << exponentBits - 1)
    let fraction = Double(bits & (1 << fractionBits - 1))
    let sign: Double = bits >> 15 == 0 ? 1 : -1
    if exponent == 1 << exponentBits - 1 { return fraction == 0 ? sign * .infinity : .nan }
    let hidden: Double = exponent == 0 ? 0 : Double(1 << fractionBits)
    return sign * Double(sign: .plus, exponent: max(exponent, 1) - bias - fractionBits, significand: hidden + fraction)
  }

  @Test(arguments: [(1, 5, 10), (30, 8, 7)] as [(UInt32, Int, Int)])
  func everyValueIsExact(_ type: UInt32, _ exponentBits: Int, _ fractionBits: Int) throws {
    let values = try read(type: type)
    for bits in 0..<65536 {
      let expected = value(bits, exponentBits: exponentBits, fractionBits: fractionBits)
      let same = expected.isNaN ? values[bits].isNaN : Double(values[bits]).bitPattern == expected.bitPattern
      if !same { Issue.record("\(bits): \(values[bits]), not \(expected)") }
    }
  }

  /// The writers' roundings are inverse to the readings, so models that tests build hold what was asked for.
  @Test func theWritersRoundToTheSameBits() throws {
    for (bits, value) in try read(type: 1).enumerated() where !value.isNaN { #expect(half(value) == UInt16(bits)) }
    for (bits, value) in try read(type: 30).enumerated() where !value.isNaN {
      #expect(brainHalf(value) == UInt16(bits))
    }
  }
}
