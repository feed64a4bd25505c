/// Blocks of a disk tier: sections whose pages lie by themselves, for all items of an owner that have them.
///
/// A section gets a block when it begins to grow, and an address when it has settled. Whose address is there already takes that
/// block and lets go of its own, so nothing is written twice; a block goes with the last item that has it. Its pages stand in the
/// table of all pages, under the block's negative number.
struct DiskBlocks {
  private let database: SQLiteDatabase

  init(_ database: SQLiteDatabase) { self.database = database }

  /// A block that an item has.
  struct Use {
    let block: Int64
    let hasAddress: Bool
  }

  /// The blocks of an item, by the numbers of its sections.
  func uses(of item: Int64) throws(TierError) -> [Int: Use] {
    var uses: [Int: Use] = [:]
    try database.statement(
      "SELECT section, block, address IS NOT NULL FROM block_uses JOIN blocks ON blocks.id = block WHERE item = ?1"
    ).forEachRow([.integer(item)]) {
      uses[Int($0.integer(0))] = Use(block: $0.integer(1), hasAddress: $0.integer(2) != 0)
    }
    return uses
  }

  /// Where the pages of an item's section lie: under which number, and from which place on.
  func pages(ofSection section: Int, of item: Int64) throws(TierError) -> (owner: Int64, first: Int64) {
    let block = try database.statement("SELECT block FROM block_uses WHERE item = ?1 AND section = ?2")
      .first(.integer(item), .integer(Int64(section))) { $0.integer(0) }
    return block.map { (-$0, 0) } ?? (item, PagePlace.numbers(ofSection: section).lowerBound)
  }

  func block(_ address: SectionAddress, of owner: String) throws(TierError) -> Int64? {
    try database.statement("SELECT id FROM blocks WHERE tenant = ?1 AND address = ?2")
      .first(.text(owner), .text(address.text)) { $0.integer(0) }
  }

  /// Gives an item's sections their blocks as a change has them, before its pages are written.
  ///
  /// - Returns: sections whose pages are there already.
  func settle(_ change: ItemChange, _ item: Int64, _ uses: inout [Int: Use]) throws(TierError) -> Set<Int> {
    var known: Set<Int> = []
    for section in change.manifest.sections {
      let number = section.number
      if let address = section.address {
        if let there = try block(address, of: change.key.owner) {
          known.insert(number)
          guard uses[number]?.block != there else { continue }
          try release(number, of: item, &uses)
          try deletePages(ofSection: number, of: item)
          try use(there, number, of: item)
          uses[number] = Use(block: there, hasAddress: true)
        } else {
          if uses[number]?.hasAddress ?? true { try begin(number, of: item, change.key.owner, &uses) }
          guard let use = uses[number] else { continue }
          try database.run(
            "UPDATE blocks SET address = ?2, bytes = ?3 WHERE id = ?1", .integer(use.block), .text(address.text),
            .integer(Int64(section.bytes)))
          uses[number] = Use(block: use.block, hasAddress: true)
        }
      } else if change.growing.contains(number), uses[number]?.hasAddress ?? true {
        try begin(number, of: item, change.key.owner, &uses)
      }
    }
    return known
  }

  /// Gives a section a block of its own, in which its pages lie from now on.
  private func begin(
    _ section: Int, of item: Int64, _ owner: String, _ uses: inout [Int: Use]
  ) throws(TierError) {
    let isNew = uses[section] == nil
    try release(section, of: item, &uses)
    let block = try database.statement("SELECT COALESCE(MAX(id), 0) + 1 FROM blocks").first { $0.integer(0) } ?? 1
    try database.run(
      "INSERT INTO blocks VALUES (?1, ?2, NULL, 0, 0)", .integer(block), .text(owner))
    try use(block, section, of: item)
    uses[section] = Use(block: block, hasAddress: false)
    // Pages of before there were blocks.
    guard isNew else { return }
    let places = PagePlace.numbers(ofSection: section)
    try database.run(
      "UPDATE pages SET item = ?4, place = place - ?2 WHERE item = ?1 AND place BETWEEN ?2 AND ?3", .integer(item),
      .integer(places.lowerBound), .integer(places.upperBound), .integer(-block))
  }

  private func use(_ block: Int64, _ section: Int, of item: Int64) throws(TierError) {
    try database.run(
      "INSERT INTO block_uses VALUES (?1, ?2, ?3)", .integer(item), .integer(Int64(section)), .integer(block))
    try database.run("UPDATE blocks SET uses = uses + 1 WHERE id = ?1", .integer(block))
  }

  /// Has a section have no block any more.
  func release(_ section: Int, of item: Int64, _ uses: inout [Int: Use]) throws(TierError) {
    guard let use = uses.removeValue(forKey: section) else { return }
    try database.run(
      "DELETE FROM block_uses WHERE item = ?1 AND section = ?2", .integer(item), .integer(Int64(section)))
    try database.run("UPDATE blocks SET uses = uses - 1 WHERE id = ?1", .integer(use.block))
    try database.run(
      "DELETE FROM pages WHERE item = -?1 AND (SELECT uses FROM blocks WHERE id = ?1) = 0", .integer(use.block))
    try database.run("DELETE FROM blocks WHERE id = ?1 AND uses = 0", .integer(use.block))
  }

  /// Has an item have no blocks any more.
  func releaseAll(of item: Int64) throws(TierError) {
    var uses = try uses(of: item)
    for section in uses.keys.sorted() { try release(section, of: item, &uses) }
  }

  /// Gives an item the blocks of another one: the same where they have settled, and copies of those that grow.
  func copy(from item: Int64, to other: Int64, of owner: String, sharing: Bool) throws(TierError) {
    for (section, use) in try uses(of: item).sorted(by: { $0.key < $1.key }) {
      if use.hasAddress, sharing {
        try self.use(use.block, section, of: other)
        continue
      }
      var uses: [Int: Use] = [:]
      try begin(section, of: other, owner, &uses)
      try database.run(
        "INSERT INTO pages SELECT ?2, place, content FROM pages WHERE item = ?1", .integer(-use.block),
        .integer(-(uses[section]?.block ?? 0)))
    }
  }

  /// Bytes by which a tier grows with a change.
  ///
  /// - Parameters:
  ///   - item: the change's item as it is now; nil where it is not there
  ///   - bytes: of the item
  func growth(with change: ItemChange, _ item: Int64?, bytes: Int) throws(TierError) -> Int {
    var own: Set<Int64> = []
    // What stays for others where the item lets go of it.
    var kept: [Int64: Int] = [:]
    try database.statement(
      "SELECT block, bytes, uses FROM block_uses JOIN blocks ON blocks.id = block WHERE item = ?1"
    ).forEachRow([.integer(item ?? 0)]) { row in
      own.insert(row.integer(0))
      if row.integer(2) > 1 { kept[row.integer(0)] = Int(row.integer(1)) }
    }
    var growth = change.manifest.bytes - bytes
    for section in change.manifest.sections {
      guard let address = section.address, let block = try block(address, of: change.key.owner) else { continue }
      if own.contains(block) { kept[block] = nil } else { growth -= section.bytes }
    }
    return kept.values.reduce(growth, +)
  }

  /// Bytes that items count beyond the first, of what they share.
  func savedBytes() throws(TierError) -> Int {
    try database.statement("SELECT TOTAL(bytes * (uses - 1)) FROM blocks WHERE uses > 1").first { Int($0.integer(0)) }
      ?? 0
  }

  private func deletePages(ofSection section: Int, of item: Int64) throws(TierError) {
    let places = PagePlace.numbers(ofSection: section)
    try database.run(
      "DELETE FROM pages WHERE item = ?1 AND place BETWEEN ?2 AND ?3", .integer(item), .integer(places.lowerBound),
      .integer(places.upperBound))
  }
}
