/// Which slots of every head a cache stores, where those of one sequence are divided among several caches.
///
/// Blocks of stages that grow are dealt out, one after another. What is bounded lies with the first, which also attends to the
/// step's own tokens and to learned sinks; partials of all merge.
package struct SlotShare: Sendable, Hashable {
  package let index: Int
  package let count: Int

  /// - Precondition: the part is one of them.
  package init(index: Int, of count: Int) {
    precondition(count > 0 && (0..<count).contains(index), "a part that there is not")
    (self.index, self.count) = (index, count)
  }

  package static let all = SlotShare(index: 0, of: 1)

  /// Whether what only one of the caches has is here.
  var isFirst: Bool { index == 0 }

  /// Whether a block is stored here.
  func keeps(block: Int, of growth: SlotGrowth) -> Bool {
    if case .bounded = growth { isFirst } else { block % count == index }
  }
}

extension KVCache.Plan {
  /// Why the slots of a sequence cannot be divided among several caches, nil where they can.
  package var slotShareProblem: String? {
    guard partitions.contains(.bySequence) else { return "what it keeps beside tokens depends on all of them" }
    guard let last = stages.last, last.capacity == nil else { return "it is bounded, so there is nothing to divide" }
    // A token that falls out of a window would have to go from one cache to another.
    guard stages.dropLast().allSatisfy({ $0.blueprint.streamStart > 0 }) else {
      return "tokens move between its stages"
    }
    return nil
  }

  /// How much each head needs the whole text, where heads follow different stages by that.
  package var headMask: HeadMask? { division?.mask }
}
