/// Appends little-endian values to bytes.
package struct ByteBuilder {
  package var bytes: [UInt8] = []

  package init() {}

  package mutating func append(_ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  package mutating func append(_ value: Float) { append(value.bitPattern) }
  package mutating func append(_ value: Double) { append(value.bitPattern) }

  /// A GGUF string: 64 bits of length, then the bytes.
  package mutating func append(_ text: String) {
    append(UInt64(text.utf8.count))
    bytes.append(contentsOf: text.utf8)
  }

  package mutating func pad(toMultipleOf alignment: Int) {
    while bytes.count % alignment != 0 { bytes.append(0) }
  }
}
