/// How test models store floats; raw values are GGUF's type numbers.
///
/// Written plainly and apart from the kernels, so that tests compare two independent readings of the formats.
package enum ElementEncoding: UInt32, CaseIterable, Sendable {
  case float32 = 0
  case float16 = 1
  // swift-format-ignore: AlwaysUseLowerCamelCase
  case q4_1 = 3
  // swift-format-ignore: AlwaysUseLowerCamelCase
  case q8_0 = 8
  case bfloat16 = 30

  /// The `dtype` of safetensors; nil for block types.
  package var dtype: String? {
    switch self {
    case .float32: "F32"
    case .float16: "F16"
    case .bfloat16: "BF16"
    case .q4_1, .q8_0: nil
    }
  }

  /// The bytes of the values, rounded to nearest; block types take multiples of 32.
  package func encode(_ values: [Float]) -> [UInt8] {
    var builder = ByteBuilder()
    switch self {
    case .float32: for value in values { builder.append(value) }
    case .float16: for value in values { builder.append(half(value)) }
    case .bfloat16: for value in values { builder.append(brainHalf(value)) }
    case .q8_0: for block in blocks(values) { Self.encodeQ8(block, &builder) }
    case .q4_1: for block in blocks(values) { Self.encodeQ4(block, &builder) }
    }
    return builder.bytes
  }

  private func blocks(_ values: [Float]) -> [ArraySlice<Float>] {
    precondition(values.count % 32 == 0, "blocks hold 32 values")
    return stride(from: 0, to: values.count, by: 32).map { values[$0..<$0 + 32] }
  }

  /// A half scale, then 32 signed bytes.
  private static func encodeQ8(_ block: ArraySlice<Float>, _ builder: inout ByteBuilder) {
    let scale = block.map(abs).max()! / 127
    builder.append(half(scale))
    for value in block { builder.append(Int8(scale == 0 ? 0 : (value / scale).rounded())) }
  }

  /// A half scale and a half minimum, then 16 bytes: value i in the low, value i + 16 in the high four bits.
  private static func encodeQ4(_ block: ArraySlice<Float>, _ builder: inout ByteBuilder) {
    let minimum = block.min()!
    let scale = (block.max()! - minimum) / 15
    builder.append(half(scale))
    builder.append(half(minimum))
    let quants = block.map { UInt8(scale == 0 ? 0 : (($0 - minimum) / scale).rounded()) }
    for index in 0..<16 { builder.append(quants[index] | quants[index + 16] << 4) }
  }
}

/// The bits of the nearest IEEE 754 binary16 value, ties to even.
package func half(_ value: Float) -> UInt16 {
  let sign = UInt16(value.bitPattern >> 16 & 0x8000)
  guard !value.isNaN else { return sign | 0x7e00 }
  let magnitude = value.magnitude
  guard magnitude < 65520 else { return sign | 0x7c00 }
  // Below 2^-14 steps are 2^-24; above, 10 bits of fraction are kept. Adding a large power of two rounds to the step.
  let exponent = magnitude < 0x1p-14 ? -14 : Int(magnitude.exponent)
  let step = Float(sign: .plus, exponent: exponent - 10, significand: 1)
  let count = UInt32((magnitude / step).rounded(.toNearestOrEven))
  return sign | UInt16(UInt32(exponent + 14) << 10 + count)
}

/// The bits of the nearest bfloat16 value, ties to even.
package func brainHalf(_ value: Float) -> UInt16 {
  guard !value.isNaN else { return 0x7fc0 }
  let bits = value.bitPattern
  return UInt16((bits + 0x7fff + (bits >> 16 & 1)) >> 16)
}
