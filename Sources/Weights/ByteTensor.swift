/// A tensor whose elements are bytes, which stand for whatever its family says.
///
/// Holds the file's mapping.
package struct ByteTensor: @unchecked Sendable {
  package let name: String
  /// Row-major, outermost first.
  package let shape: [Int]
  package let bytes: UnsafeRawBufferPointer
  private let range: Range<Int>
  private let file: MappedFile

  init(_ stored: StoredTensor, in file: MappedFile) {
    (name, shape, range, self.file) = (stored.name, stored.shape, stored.byteRange, file)
    bytes = UnsafeRawBufferPointer(rebasing: file.bytes[stored.byteRange])
  }

  /// Lets the system drop the tensor's pages, once it has been packed.
  package func release() { file.release(range) }
}

extension WeightFile {
  /// A tensor of bytes (`U8`) by name.
  ///
  /// - Throws: where there is none, or its elements are others.
  package func byteTensor(_ name: String) throws(WeightsError) -> ByteTensor {
    guard let stored = storedTensor(name) else {
      throw WeightsError(.noSuchTensor, path: path, subject: .tensor(name))
    }
    let file = files[stored.fileIndex]
    guard stored.type == .byte else {
      throw WeightsError(.unsupportedType(stored.type.name), path: file.path, subject: .tensor(name))
    }
    return ByteTensor(stored, in: file)
  }
}
