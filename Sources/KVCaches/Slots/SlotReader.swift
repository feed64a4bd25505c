package import Kernels

/// The slots of a cache for measurements, which read them, or write them where the time of a step is all that matters.
package struct SlotReader {
  private let cache: KVCache

  package init(_ cache: KVCache) { self.cache = cache }

  /// Calls `body` with each block of slots of one head, the slots that hold tokens, and the number of slots before it.
  ///
  /// Where the cache keeps every token, a slot's number is its token's place in the stream.
  package func forEachBlock(
    layer: Int, head: Int, _ body: (_ slots: SlotStorage, _ used: Range<Int>, _ first: Int) -> Void
  ) {
    for group in cache.groups where group.heads.layers.contains(where: { $0.layer == layer }) {
      let place = group.heads.place(layer: layer, head: head)
      guard place >= 0 else { continue }
      for (index, storage) in group.slots.storages.enumerated() {
        let held = group.slots.usedSlots(ofStorage: index, by: group.ledger.stages)
        for block in 0..<storage.blockCount where storage.used(held, ofBlock: block) > 0 {
          body(
            storage.slots(head: place, block: block), 0..<storage.used(held, ofBlock: block),
            storage.growth.firstSlot(ofBlock: block))
        }
      }
    }
  }

  /// Lets the states that absorb take in tokens, as many as came to them or as it takes until they no longer change in kind.
  ///
  /// - Parameter next: a key and a value, `[headDim]` each
  package func absorb(
    _ kernels: InstructionSet, next: () -> (key: UnsafePointer<Float>, value: UnsafePointer<Float>)
  ) {
    for group in cache.groups {
      for state in group.states {
        let count = state.tokensToFill(group)
        for place in 0..<group.heads.count {
          for _ in 0..<count {
            let (key, value) = next()
            state.absorb(key: key, value: value, place: place, kernels)
          }
        }
      }
    }
  }

  /// Has the states follow what was written to slots.
  package func didWrite() {
    for group in cache.groups {
      for state in group.states { state.didRestore(group) }
    }
  }
}
