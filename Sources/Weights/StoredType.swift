package import Kernels

/// How a file stores a tensor's elements, whether or not the kernels can read it.
package struct StoredType: Sendable, Hashable {
  /// As users know it: "Q4_K", "F8_E4M3".
  package let name: String
  /// Elements of a block and its bytes; nil where this version does not know the type's layout.
  package let block: Block?
  /// The type for the kernels; nil where they cannot read it.
  package let elementType: ElementType?

  package struct Block: Sendable, Hashable {
    package let elements: Int
    package let bytes: Int
  }

  private init(_ name: String, _ elements: Int? = nil, _ bytes: Int = 0) {
    self.name = name
    block = elements.map { Block(elements: $0, bytes: bytes) }
    elementType = nil
  }

  private init(_ type: ElementType) {
    name = type.name
    block = Block(elements: type.blockSize, bytes: type.blockBytes)
    elementType = type
  }

  /// Single bytes, which stand for whatever a model's family says.
  static let byte = StoredType("U8", 1, 1)

  /// The names of all types that can be read, for error messages.
  static var readableNames: String { ElementType.allCases.map(\.name).joined(separator: ", ") }

  /// The type behind GGUF's number.
  static func gguf(_ number: UInt32) -> StoredType {
    if let type = ElementType(rawValue: number) { return StoredType(type) }
    return ggufTypes[number] ?? StoredType("the unknown type \(number)")
  }

  /// The type behind a safetensors `dtype`.
  static func safetensors(_ name: String) -> StoredType {
    safetensorsTypes[name] ?? StoredType("the unknown type '\(name)'")
  }

  /// Every number that ggml has given out (ggml.h), those withdrawn included, with block sizes from ggml-common.h.
  private static let ggufTypes: [UInt32: StoredType] = [
    0: StoredType("F32", 1, 4), 1: StoredType("F16", 1, 2), 2: StoredType("Q4_0", 32, 18),
    3: StoredType("Q4_1", 32, 20), 4: StoredType("Q4_2"), 5: StoredType("Q4_3"), 6: StoredType("Q5_0", 32, 22),
    7: StoredType("Q5_1", 32, 24), 8: StoredType("Q8_0", 32, 34), 9: StoredType("Q8_1", 32, 36),
    10: StoredType("Q2_K", 256, 84), 11: StoredType("Q3_K", 256, 110), 12: StoredType("Q4_K", 256, 144),
    13: StoredType("Q5_K", 256, 176), 14: StoredType("Q6_K", 256, 210), 15: StoredType("Q8_K", 256, 292),
    16: StoredType("IQ2_XXS", 256, 66), 17: StoredType("IQ2_XS", 256, 74), 18: StoredType("IQ3_XXS", 256, 98),
    19: StoredType("IQ1_S", 256, 50), 20: StoredType("IQ4_NL", 32, 18), 21: StoredType("IQ3_S", 256, 110),
    22: StoredType("IQ2_S", 256, 82), 23: StoredType("IQ4_XS", 256, 136), 24: StoredType("I8", 1, 1),
    25: StoredType("I16", 1, 2), 26: StoredType("I32", 1, 4), 27: StoredType("I64", 1, 8),
    28: StoredType("F64", 1, 8), 29: StoredType("IQ1_M", 256, 56), 30: StoredType("BF16", 1, 2),
    31: StoredType("Q4_0_4_4"), 32: StoredType("Q4_0_4_8"), 33: StoredType("Q4_0_8_8"),
    34: StoredType("TQ1_0", 256, 54), 35: StoredType("TQ2_0", 256, 66), 36: StoredType("IQ4_NL_4_4"),
    37: StoredType("IQ4_NL_4_8"), 38: StoredType("IQ4_NL_8_8"), 39: StoredType("MXFP4", 32, 17),
    40: StoredType("NVFP4", 64, 36), 41: StoredType("Q1_0"), 42: StoredType("Q2_0"),
  ]

  private static let safetensorsTypes: [String: StoredType] = [
    "F32": StoredType(.float32), "F16": StoredType(.float16), "BF16": StoredType(.bfloat16),
    "F64": StoredType("F64", 1, 8), "C64": StoredType("C64", 1, 8), "BOOL": StoredType("BOOL", 1, 1),
    "I8": StoredType("I8", 1, 1), "U8": .byte, "I16": StoredType("I16", 1, 2),
    "U16": StoredType("U16", 1, 2), "I32": StoredType("I32", 1, 4), "U32": StoredType("U32", 1, 4),
    "I64": StoredType("I64", 1, 8), "U64": StoredType("U64", 1, 8), "F8_E4M3": StoredType("F8_E4M3", 1, 1),
    "F8_E5M2": StoredType("F8_E5M2", 1, 1), "F8_E8M0": StoredType("F8_E8M0", 1, 1), "F4": StoredType("F4", 2, 1),
    "F6_E2M3": StoredType("F6_E2M3", 4, 3), "F6_E3M2": StoredType("F6_E3M2", 4, 3),
  ]
}
