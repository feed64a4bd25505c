/// Which KV heads of every layer a cache stores, where a model's heads are divided among several caches.
package struct HeadShare: Sendable, Hashable {
  /// Which of the parts; `count` for none of them.
  package let index: Int
  /// Parts that each layer's heads are divided into.
  package let count: Int

  /// - Precondition: the part is one of them.
  package init(index: Int, of count: Int) {
    precondition(count > 0 && (0..<count).contains(index), "a part that there is not")
    (self.index, self.count) = (index, count)
  }

  private init() { (index, count) = (1, 1) }

  package static let all = HeadShare(index: 0, of: 1)

  /// No head: the cache counts what others keep.
  package static let none = HeadShare()

  /// The KV heads that are stored, of a layer that has so many; equal numbers of them where they divide evenly.
  package func heads(of keyValueHeads: Int) -> Range<Int> {
    guard index < count else { return 0..<0 }
    return keyValueHeads * index / count..<keyValueHeads * (index + 1) / count
  }
}
