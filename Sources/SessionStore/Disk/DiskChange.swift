/// What changes items of a disk tier, inside a transaction.
struct DiskChange {
  private let database: SQLiteDatabase

  private let blocks: DiskBlocks

  init(_ database: SQLiteDatabase) { (self.database, blocks) = (database, DiskBlocks(database)) }

  /// - Returns: bytes of pages that were written.
  func apply(_ change: ItemChange) throws(TierError) -> Int {
    let (key, manifest) = (change.key, change.manifest)
    guard try DiskLeases(database).admit(change.token, key) else { throw .fenced }
    let existing = try database.statement(
      "SELECT id, generation, substr(manifest, 1, \(Manifest.startBytes)) FROM items WHERE tenant = ?1 AND name = ?2"
    ).first(.text(key.tenant), .text(key.name)) {
      (id: $0.integer(0), generation: $0.integer(1), start: Array($0.blob(2)))
    }
    if let start = existing?.start, let mismatch = SealMismatch(of: manifest, with: start) {
      throw .sealed(mismatch)
    }
    if let base = change.base {
      guard let existing else { throw .gone }
      guard existing.generation == base else { throw .outOfStep }
    }
    let turn = try nextTurn("items")
    let bytes = manifest.encoded
    let id: Int64
    if let existing {
      id = existing.id
      if change.base == nil {
        try database.run("DELETE FROM pages WHERE item = ?1", .integer(id))
        try blocks.releaseAll(of: id)
      }
      try withBlob(bytes) { (blob) throws(TierError) in
        try database.run(
          "UPDATE items SET generation = ?2, bytes = ?3, saved = ?4, used = ?4, turn = ?5, manifest = ?6 WHERE id = ?1",
          .integer(id), .integer(manifest.generation), .integer(Int64(manifest.bytes)), .integer(manifest.saved),
          .integer(turn), blob)
      }
    } else {
      id = try database.statement("SELECT COALESCE(MAX(id), 0) + 1 FROM items").first { $0.integer(0) } ?? 1
      try withBlob(bytes) { (blob) throws(TierError) in
        try database.run(
          "INSERT INTO items VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, 0, ?8)", .integer(id), .text(key.tenant),
          .text(key.name), .integer(manifest.generation), .integer(Int64(manifest.bytes)), .integer(manifest.saved),
          .integer(turn), blob)
      }
      try forgetDeparture(of: key)
    }
    if let marks = change.marks { try setMarks(marks, of: id, key.tenant) }
    var uses = try blocks.uses(of: id)
    for section in change.dropped {
      let places = PagePlace.numbers(ofSection: section)
      try deletePages(of: id, places.lowerBound, places.upperBound)
      try blocks.release(section, of: id, &uses)
    }
    let settled = try blocks.settle(change, id, &uses)
    let known = change.rewrites ? [] : settled
    for cut in change.cut where !known.contains(cut.from.section) {
      let (owner, first) = Self.place(cut.from, of: id, uses)
      try deletePages(of: owner, first, Self.place(cut.to, of: id, uses).number)
    }
    var written = 0
    for page in change.pages where !known.contains(page.place.section) {
      let (owner, number) = Self.place(page.place, of: id, uses)
      try withBlob(page.bytes) { (blob) throws(TierError) in
        try database.run(
          "INSERT INTO pages VALUES (?1, ?2, ?3) ON CONFLICT (item, place) DO UPDATE SET content = excluded.content",
          .integer(owner), .integer(number), blob)
      }
      written += page.bytes.count
    }
    return written
  }

  /// Where a page lies: in the block of its section, or beside its item.
  private static func place(
    _ place: PagePlace, of item: Int64, _ uses: [Int: DiskBlocks.Use]
  ) -> (owner: Int64, number: Int64) {
    uses[place.section].map { (-$0.block, place.numberInSection) } ?? (item, place.number)
  }

  func remove(_ key: ItemKey, _ reason: Departure) throws(TierError) {
    guard let id = try self.id(of: key) else { return }
    try removeRows(of: id)
    try forgetDeparture(of: key)
    let turn = try nextTurn("departures")
    try database.run(
      "INSERT INTO departures VALUES (?1, ?2, ?3, ?4)", .integer(turn), .text(key.tenant), .text(key.name),
      .text(reason.rawValue))
    try database.run("DELETE FROM departures WHERE turn <= ?1", .integer(turn - Int64(Departures.limit)))
  }

  func copy(_ key: ItemKey, to other: ItemKey, at seconds: Int64, _ relabel: ManifestChange?) throws(TierError) {
    guard let id = try self.id(of: key) else { throw .gone }
    if let old = try self.id(of: other) { try removeRows(of: old) }
    let new = try database.statement("SELECT MAX(id) + 1 FROM items").first { $0.integer(0) } ?? 1
    try database.run(
      """
      INSERT INTO items SELECT ?2, ?3, ?4, generation, bytes, ?5, ?5, ?6, 0, manifest FROM items WHERE id = ?1
      """, .integer(id), .integer(new), .text(other.tenant), .text(other.name), .integer(seconds),
      .integer(try nextTurn("items")))
    if let relabel {
      let manifest =
        try database.statement("SELECT manifest FROM items WHERE id = ?1")
        .first(.integer(id)) { Array($0.blob(0)) } ?? []
      try withBlob(relabel(manifest)) { (blob) throws(TierError) in
        try database.run("UPDATE items SET manifest = ?2 WHERE id = ?1", .integer(new), blob)
      }
    }
    try database.run(
      "INSERT INTO pages SELECT ?2, place, content FROM pages WHERE item = ?1", .integer(id), .integer(new))
    try blocks.copy(from: id, to: new, of: other.owner, sharing: key.owner == other.owner)
    try forgetDeparture(of: other)
  }

  private func removeRows(of id: Int64) throws(TierError) {
    try blocks.releaseAll(of: id)
    for statement in [
      "DELETE FROM pages WHERE item = ?1", "DELETE FROM marks WHERE item = ?1", "DELETE FROM items WHERE id = ?1",
    ] { try database.run(statement, .integer(id)) }
  }

  private func setMarks(_ marks: [Int64], of id: Int64, _ tenant: String) throws(TierError) {
    try database.run("DELETE FROM marks WHERE item = ?1", .integer(id))
    for mark in marks {
      try database.run(
        "INSERT OR REPLACE INTO marks VALUES (?1, ?2, ?3)", .text(tenant), .integer(mark), .integer(id))
    }
  }

  private func id(of key: ItemKey) throws(TierError) -> Int64? {
    try database.statement("SELECT id FROM items WHERE tenant = ?1 AND name = ?2")
      .first(.text(key.tenant), .text(key.name)) { $0.integer(0) }
  }

  private func nextTurn(_ table: String) throws(TierError) -> Int64 {
    try database.statement("SELECT COALESCE(MAX(turn), 0) + 1 FROM \(table)").first { $0.integer(0) } ?? 1
  }

  private func forgetDeparture(of key: ItemKey) throws(TierError) {
    try database.run("DELETE FROM departures WHERE tenant = ?1 AND name = ?2", .text(key.tenant), .text(key.name))
  }

  private func deletePages(of item: Int64, _ first: Int64, _ last: Int64) throws(TierError) {
    try database.run(
      "DELETE FROM pages WHERE item = ?1 AND place BETWEEN ?2 AND ?3", .integer(item), .integer(first), .integer(last))
  }

  /// Calls `body` with bytes as a value that lasts as long.
  private func withBlob(_ bytes: [UInt8], _ body: (SQLiteValue) throws(TierError) -> Void) throws(TierError) {
    // Typed throws do not pass through `withUnsafeBytes`.
    let result: Result<Void, TierError> = bytes.withUnsafeBytes { bytes in
      Result { () throws(TierError) in try body(.blob(bytes)) }
    }
    try result.get()
  }
}
