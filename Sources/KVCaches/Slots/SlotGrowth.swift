/// How the slots of a stage are divided into blocks, which are never moved or reallocated.
///
/// Blocks begin at multiples of 64 slots, at which kernels cut runs: results do not depend on them.
package enum SlotGrowth: Sendable, Hashable {
  /// One block of so many slots, all there is.
  case bounded(Int)
  /// Blocks of 64, 64, 128, 256, 512 and then 1,024 slots: what is held is little more than what was used, at any length.
  case doubling
  /// Blocks of 1,024 slots, for stages whose state divides them evenly.
  case even

  static let largestBlock = 1024
  private static let smallestBlock = 64
  /// Blocks that come before the first one of full size.
  private static let smallBlocks = 5

  /// The slots of a block.
  func slots(ofBlock block: Int) -> Int {
    switch self {
    case .bounded(let slots): slots
    case .even: Self.largestBlock
    case .doubling: block < Self.smallBlocks ? Self.smallestBlock << max(0, block - 1) : Self.largestBlock
    }
  }

  /// The slots before a block.
  func firstSlot(ofBlock block: Int) -> Int {
    switch self {
    case .bounded: 0
    case .even: block * Self.largestBlock
    case .doubling:
      block == 0
        ? 0
        : block <= Self.smallBlocks
          ? Self.smallestBlock << (block - 1) : Self.largestBlock * (block - Self.smallBlocks + 1)
    }
  }

  /// Where a slot lies.
  func place(ofSlot slot: Int) -> (block: Int, slot: Int) {
    switch self {
    case .bounded: return (0, slot)
    case .even: return (slot / Self.largestBlock, slot % Self.largestBlock)
    case .doubling:
      guard slot < Self.largestBlock else {
        return (slot / Self.largestBlock + Self.smallBlocks - 1, slot % Self.largestBlock)
      }
      let doublings = slot / Self.smallestBlock
      let block = doublings == 0 ? 0 : Int.bitWidth - doublings.leadingZeroBitCount
      return (block, slot - firstSlot(ofBlock: block))
    }
  }

  /// The blocks that so many slots need.
  func blocks(slots: Int) -> Int { slots == 0 ? 0 : place(ofSlot: slots - 1).block + 1 }
}
