/// UTF-8 text read scalar by scalar together with the classes of the scalars.
///
/// The text is valid UTF-8 but for cuts inside a character, which read as single bytes without a class.
struct ScalarText {
  let bytes: UnsafeBufferPointer<UInt8>
  let classes: ScalarClasses

  init(_ bytes: UnsafeBufferPointer<UInt8>) {
    self.bytes = bytes
    self.classes = .shared
  }

  /// The scalar at a position below `end` and the number of its bytes.
  @inline(__always)
  func scalar(at position: Int, end: Int) -> (value: UInt32, length: Int) {
    let first = UInt32(bytes[position])
    if first < 0x80 { return (first, 1) }
    let available = end - position
    if first < 0xC0 { return (.max, 1) }
    if first < 0xE0 {
      guard available >= 2 else { return (.max, 1) }
      return ((first & 0x1F) << 6 | UInt32(bytes[position + 1] & 0x3F), 2)
    }
    if first < 0xF0 {
      guard available >= 3 else { return (.max, 1) }
      return ((first & 0xF) << 12 | UInt32(bytes[position + 1] & 0x3F) << 6 | UInt32(bytes[position + 2] & 0x3F), 3)
    }
    guard available >= 4 else { return (.max, 1) }
    let high = (first & 7) << 18 | UInt32(bytes[position + 1] & 0x3F) << 12
    return (high | UInt32(bytes[position + 2] & 0x3F) << 6 | UInt32(bytes[position + 3] & 0x3F), 4)
  }

  /// The class of the scalar at a position below `end` and the number of its bytes.
  @inline(__always)
  func scalarClass(at position: Int, end: Int) -> (value: ScalarClass, length: Int) {
    let (value, length) = scalar(at: position, end: end)
    return (classes[value], length)
  }

  /// The end of the run of scalars from `position` on that have one of the classes.
  @inline(__always)
  func endOfRun(of wanted: ScalarClass, from position: Int, end: Int) -> Int {
    var position = position
    while position < end {
      let (value, length) = scalarClass(at: position, end: end)
      if value.isDisjoint(with: wanted) { break }
      position += length
    }
    return position
  }

  /// The end of the run of scalars from `position` on that have none of the classes.
  @inline(__always)
  func endOfRun(without unwanted: ScalarClass, from position: Int, end: Int) -> Int {
    var position = position
    while position < end {
      let (value, length) = scalarClass(at: position, end: end)
      if !value.isDisjoint(with: unwanted) { break }
      position += length
    }
    return position
  }
}
