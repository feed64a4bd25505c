/// Blocks of sections that items of one owner share, each kept as long as an item has it.
///
/// Guarded by the lock of the tier that owns it.
struct SharedBlocks {
  struct Key: Hashable {
    let owner: String
    let address: SectionAddress
  }

  private var blocks: [Key: (block: SectionBlock, uses: Int)] = [:]

  subscript(key: Key) -> SectionBlock? { blocks[key]?.block }

  /// Notes that an item has a block from now on.
  ///
  /// - Returns: bytes that are held more.
  mutating func use(_ key: Key, _ block: SectionBlock) -> Int {
    let uses = blocks[key]?.uses ?? 0
    blocks[key] = (block, uses + 1)
    return uses == 0 ? block.contents.count : 0
  }

  /// Notes that an item has a block no longer.
  ///
  /// - Returns: bytes that are held less.
  mutating func release(_ key: Key) -> Int {
    guard let (block, uses) = blocks[key] else { return 0 }
    blocks[key] = uses > 1 ? (block, uses - 1) : nil
    return uses > 1 ? 0 : block.contents.count
  }

  /// Whether a block goes with the last item that has it.
  func isLast(_ key: Key) -> Bool { blocks[key]?.uses == 1 }
}
