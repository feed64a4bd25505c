package import Kernels

/// A tensor as a file lists it, readable or not; `WeightFile.tensor` gives those that are.
package struct StoredTensor: Sendable, Hashable {
  package let name: String
  package let type: StoredType
  /// Row-major, outermost first: `[rows, columns]`; empty for a single number.
  package let shape: [Int]
  /// Which of the model's files holds it.
  package let fileIndex: Int
  /// Where it lies in that file, inside the file's bounds; empty where the type's layout is unknown.
  package let byteRange: Range<Int>

  package var elementCount: Int { shape.reduce(1, *) }

  /// The same bytes under another name.
  func renamed(_ name: String) -> StoredTensor {
    StoredTensor(name: name, type: type, shape: shape, fileIndex: fileIndex, byteRange: byteRange)
  }
}

/// What is known about a tensor that the kernels can read.
package struct TensorInfo: Sendable, Hashable {
  package let name: String
  package let type: ElementType
  /// Row-major, outermost first: `[rows, columns]`; empty for a single number. Every dimension is 0 to 2^31 - 1, and the
  /// innermost is a multiple of the type's block.
  package let shape: [Int]
  /// Which of the model's files holds it, and where.
  package let fileIndex: Int
  package let byteRange: Range<Int>

  package var elementCount: Int { shape.reduce(1, *) }
  /// The innermost dimension; 1 for a single number.
  package var columns: Int { shape.last ?? 1 }
  /// All other dimensions together.
  package var rows: Int { columns == 0 ? 0 : elementCount / columns }
  /// The bytes of one row.
  package var rowBytes: Int { type.rowBytes(columns: columns) }
}

/// A tensor's bytes in the mapped file, validated: exactly `rows` rows of the type's row bytes.
///
/// Holds the file's mapping. The bytes may start at any address; read them with unaligned loads.
package struct Tensor: @unchecked Sendable {
  package let info: TensorInfo
  package let bytes: UnsafeRawBufferPointer
  private let file: MappedFile

  init(_ info: TensorInfo, in file: MappedFile) {
    assert(info.byteRange.count == info.rows * info.rowBytes)
    self.info = info
    self.file = file
    bytes = UnsafeRawBufferPointer(rebasing: file.bytes[info.byteRange])
  }

  /// Lets the system drop the tensor's pages, once it has been packed or copied.
  package func release() { file.release(info.byteRange) }

  /// A copy as floats, for F32, F16 and BF16; nil for block types, which the kernels unpack.
  package func floats() -> [Float]? {
    let count = info.elementCount
    switch info.type {
    case .float32:
      return (0..<count).map { Float(bitPattern: UInt32(littleEndian: load($0))) }
    case .float16:
      return (0..<count).map { Self.float(half: UInt16(littleEndian: load($0))) }
    case .bfloat16:
      return (0..<count).map { Float(bitPattern: UInt32(UInt16(littleEndian: load($0))) << 16) }
    default: return nil
    }
  }

  private func load<Value: BitwiseCopyable>(_ index: Int) -> Value {
    bytes.loadUnaligned(fromByteOffset: index * MemoryLayout<Value>.size, as: Value.self)
  }

  /// IEEE 754 binary16 to binary32, exactly; `Float16` does not exist on every platform.
  private static func float(half: UInt16) -> Float {
    let sign = UInt32(half & 0x8000) << 16
    let exponent = UInt32(half >> 10 & 31)
    let fraction = UInt32(half & 1023)
    switch exponent {
    case 0:
      let magnitude = Float(fraction) * 0x1p-24
      return sign == 0 ? magnitude : -magnitude
    case 31: return Float(bitPattern: sign | 0x7f80_0000 | fraction << 13)
    default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
    }
  }
}
