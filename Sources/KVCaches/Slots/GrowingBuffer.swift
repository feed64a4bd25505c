import Kernels

/// A buffer that is replaced by a larger one where a step needs more, and never shrinks.
///
/// Steps of the same size therefore allocate nothing.
struct GrowingBuffer<Element: BitwiseCopyable> {
  private var buffer = Buffer<Element>(count: 0)
  /// Valid until the next `reserve`.
  private(set) var pointer: UnsafeMutablePointer<Element>

  init() { pointer = buffer.pointer }

  /// Makes room for `count` elements, of which the first `kept` are kept; half as many again when it grows, for caches
  /// that grow with the stream.
  mutating func reserve(_ count: Int, keeping kept: Int = 0) {
    guard count > buffer.count else { return }
    let larger = Buffer<Element>(count: count + count / 2)
    larger.pointer.update(from: pointer, count: kept)
    buffer = larger
    pointer = larger.pointer
  }

  /// Takes over the elements of an array.
  mutating func copy(_ elements: [Element]) { elements.withUnsafeBufferPointer { copy($0) } }

  /// Takes over some elements.
  mutating func copy(_ elements: UnsafeBufferPointer<Element>) {
    reserve(elements.count)
    if let base = elements.baseAddress { pointer.update(from: base, count: elements.count) }
  }
}
