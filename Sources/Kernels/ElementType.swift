package import CKernels

/// The element types that weights and KV slots are stored in, numbered as in GGUF; q4_1 and q8_0 keep GGUF's names.
// swift-format-ignore: AlwaysUseLowerCamelCase
package enum ElementType: UInt32, CaseIterable, Sendable {
  case float32 = 0
  case float16 = 1
  case q4_1 = 3
  case q8_0 = 8
  case bfloat16 = 30

  /// GGUF's name of the type.
  package var name: String {
    switch self {
    case .float32: "F32"
    case .float16: "F16"
    case .q4_1: "Q4_1"
    case .q8_0: "Q8_0"
    case .bfloat16: "BF16"
    }
  }

  /// Columns that share one block; a row is a whole number of blocks.
  package var blockSize: Int {
    switch self {
    case .float32, .float16, .bfloat16: 1
    case .q4_1, .q8_0: 32
    }
  }

  /// Bytes of one block in a GGUF row.
  package var blockBytes: Int {
    switch self {
    case .float32: 4
    case .float16, .bfloat16: 2
    case .q4_1: 20
    case .q8_0: 34
    }
  }

  /// True for types whose products can use int8 activations.
  package var isQuantized: Bool { blockSize > 1 }

  /// Bytes of one GGUF row. `columns` must be a multiple of `blockSize`.
  package func rowBytes(columns: Int) -> Int {
    precondition(columns >= 0 && columns % blockSize == 0, "columns must be whole blocks")
    return columns / blockSize * blockBytes
  }

  /// Bytes of one packed panel of 16 rows. `columns` must be a multiple of `blockSize`.
  package func panelBytes(columns: Int) -> Int {
    precondition(columns >= 0 && columns % blockSize == 0, "columns must be whole blocks")
    return sluice_panel_bytes(kernelType, Int32(columns))
  }

  /// The same type as the C kernels name it.
  package var kernelType: sluice_type { sluice_type(rawValue) }
}
