import SessionStore

/// Blocks: settled sections that items of an owner share, each in a hash of pages by place (`…:b`), with the items that have it in a
/// set (`…:u`). The last one that lets go of it takes it along.
extension RedisTier {
  /// A block that an item has.
  struct Block: Hashable {
    let address: SectionAddress
    let section: Int
    let bytes: Int
  }

  /// Keys of a block, by its owner, whose length tells it from the address.
  struct BlockKeys {
    let pages, users: String

    init(_ address: SectionAddress, of owner: String, _ prefix: String) {
      let base = prefix + "{\(owner.utf8.count):\(owner)}:" + address.text
      (pages, users) = (base + ":b", base + ":u")
    }
  }

  func keys(_ block: Block, of key: ItemKey) -> BlockKeys { BlockKeys(block.address, of: key.owner, prefix) }

  /// Bytes that items count beyond the first of what they share.
  var savings: String { prefix + "shared" }

  /// The blocks of a manifest, none where it is missing or damaged.
  static func blocks(of manifest: [UInt8]?) -> Set<Block> {
    guard let manifest, let known = try? Manifest(stored: manifest) else { return [] }
    return blocks(of: known)
  }

  static func blocks(of manifest: Manifest) -> Set<Block> {
    Set(
      manifest.sections.compactMap { section in
        section.address.map { Block(address: $0, section: section.number, bytes: section.bytes) }
      })
  }

  /// Those of some blocks whose addresses others do not have.
  static func blocks(_ blocks: Set<Block>, without others: Set<Block>) -> [Block] {
    let addresses = Set(others.map(\.address))
    return blocks.filter { !addresses.contains($0.address) }
  }

  /// Which blocks are there. They are watched: whoever takes one along meanwhile ends the transaction.
  func existing(_ blocks: [Block], of key: ItemKey) throws(TierError) -> Set<Block> {
    guard !blocks.isEmpty else { return [] }
    var watch = RESPCommand("WATCH")
    for block in blocks { watch.append(keys(block, of: key).users) }
    let exists = blocks.map { block in
      let keys = keys(block, of: key)
      return RESPCommand("EXISTS", keys.users, keys.pages)
    }
    let replies = try send([watch] + exists, on: transactions).dropFirst()
    return Set(zip(blocks, replies).filter { $0.1.integer == 2 }.map(\.0))
  }

  /// Keys: users, savings. Arguments: the item, bytes.
  private static let useScript = """
    local before = redis.call('SCARD', KEYS[1])
    if redis.call('SADD', KEYS[1], ARGV[1]) == 1 and before > 0 then redis.call('INCRBY', KEYS[2], ARGV[2]) end
    return 1
    """

  /// Keys: users, savings, pages.
  private static let releaseScript = """
    if redis.call('SREM', KEYS[1], ARGV[1]) == 0 then return 0 end
    if redis.call('SCARD', KEYS[1]) > 0 then
      redis.call('DECRBY', KEYS[2], ARGV[2])
    else
      redis.call('DEL', KEYS[1], KEYS[3])
    end
    return 1
    """

  /// Keys: the item's pages, the block's. Arguments: pairs of a place beside the item and one in the block.
  private static let moveScript = """
    for index = 1, #ARGV, 2 do
      local page = redis.call('HGET', KEYS[1], ARGV[index])
      if page then redis.call('HSET', KEYS[2], ARGV[index + 1], page) end
    end
    return 1
    """

  /// Notes that an item has a block from now on.
  func use(_ block: Block, _ key: ItemKey) -> RESPCommand {
    RESPCommand("EVAL", Self.useScript, "2", keys(block, of: key).users, savings, keys(key).member, "\(block.bytes)")
  }

  /// Notes that an item has a block no longer.
  func release(_ block: Block, _ key: ItemKey) -> RESPCommand {
    let keys = keys(block, of: key)
    return RESPCommand(
      "EVAL", Self.releaseScript, "3", keys.users, savings, keys.pages, self.keys(key).member, "\(block.bytes)")
  }

  /// Copies the pages of a section that has just settled from its item to its block, on the server.
  func move(_ block: Block, of change: ItemChange) -> RESPCommand {
    var command = RESPCommand("EVAL", Self.moveScript, "2", keys(change.key).pages, keys(block, of: change.key).pages)
    for section in change.manifest.sections where section.number == block.section {
      section.forEachPage { place, _, _ in
        command.append(place.number)
        command.append(place.numberInSection)
      }
    }
    return command
  }
}
