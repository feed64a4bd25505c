/// Unicode's Normalization Form C.
enum CanonicalComposition {
  static func append(_ text: UnsafeBufferPointer<UInt8>, to prepared: inout [UInt8]) {
    prepared.append(contentsOf: text)
  }
}
