/// The bytes of a section, one after another, so that they are taken up with one copy.
///
/// Guarded by the lock of the tier that owns it.
final class SectionBlock {
  private let bytes: UnsafeMutableRawBufferPointer
  private let parts: [Int]
  /// Bytes from the start of a page to that of the next.
  private let pageStride: Int

  init(parts: [Int], pageStride: Int) {
    (self.parts, self.pageStride) = (parts, pageStride)
    bytes = .allocate(byteCount: max(1, parts.reduce(0, +)), alignment: 64)
  }

  deinit { bytes.deallocate() }

  var contents: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: bytes.baseAddress, count: parts.reduce(0, +))
  }

  /// The block for the same section with parts of other lengths; what both have is copied.
  func resized(to other: [Int]) -> SectionBlock {
    if other == parts { return self }
    let block = SectionBlock(parts: other, pageStride: pageStride)
    var (from, to) = (0, 0)
    for (old, new) in zip(parts, other) {
      let target = UnsafeMutableRawBufferPointer(rebasing: block.bytes[to..<to + new])
      target.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[from..<from + min(old, new)]))
      (from, to) = (from + old, to + new)
    }
    return block
  }

  /// Writes a page; one that lies outside is left out.
  func write(_ page: [UInt8], part: Int, page index: Int) {
    guard parts.indices.contains(part) else { return }
    let first = parts[..<part].reduce(0, +) + index * pageStride
    guard first + page.count <= bytes.count else { return }
    UnsafeMutableRawBufferPointer(rebasing: bytes[first..<first + page.count]).copyBytes(from: page)
  }

  func copy() -> SectionBlock {
    let block = SectionBlock(parts: parts, pageStride: pageStride)
    block.bytes.copyMemory(from: UnsafeRawBufferPointer(bytes))
    return block
  }
}
