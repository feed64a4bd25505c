package import CKernels

/// The element types that weights are stored in, numbered as in GGUF; quantised types keep GGUF's names.
// swift-format-ignore: AlwaysUseLowerCamelCase
package enum ElementType: UInt32, CaseIterable, Sendable {
  case float32 = 0
  case float16 = 1
  case q4_0 = 2
  case q4_1 = 3
  case q5_0 = 6
  case q5_1 = 7
  case q8_0 = 8
  case q2_K = 10
  case q3_K = 11
  case q4_K = 12
  case q5_K = 13
  case q6_K = 14
  case iq4_NL = 20
  case iq4_XS = 23
  case bfloat16 = 30
  case mxfp4 = 39

  /// GGUF's name of the type.
  package var name: String { format.name }

  /// Columns that share one block; a row is a whole number of blocks.
  package var blockSize: Int { format.columns }

  /// Bytes of one block in a GGUF row.
  package var blockBytes: Int { format.bytes }

  private var format: (name: String, columns: Int, bytes: Int) {
    switch self {
    case .float32: ("F32", 1, 4)
    case .float16: ("F16", 1, 2)
    case .q4_0: ("Q4_0", 32, 18)
    case .q4_1: ("Q4_1", 32, 20)
    case .q5_0: ("Q5_0", 32, 22)
    case .q5_1: ("Q5_1", 32, 24)
    case .q8_0: ("Q8_0", 32, 34)
    case .q2_K: ("Q2_K", 256, 84)
    case .q3_K: ("Q3_K", 256, 110)
    case .q4_K: ("Q4_K", 256, 144)
    case .q5_K: ("Q5_K", 256, 176)
    case .q6_K: ("Q6_K", 256, 210)
    case .iq4_NL: ("IQ4_NL", 32, 18)
    case .iq4_XS: ("IQ4_XS", 256, 136)
    case .bfloat16: ("BF16", 1, 2)
    case .mxfp4: ("MXFP4", 32, 17)
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
