import CLibrary
import Synchronization

/// Items in a SQLite database in WAL mode: a row a page, so that a save writes what differs and a layer is read by itself.
///
/// A save is one transaction, so a reader finds all of it or nothing, whenever the process or the machine stops. One
/// connection writes and another reads, neither waiting for the other.
package final class DiskTier: StorageTier {
  /// What a save survives once it is acknowledged.
  package enum Durability: String, Sendable {
    /// The end of the process, at any moment.
    case process = "NORMAL"
    /// The machine's loss of power too; each save waits for the disk.
    case power = "FULL"
  }

  package let name = "disk"
  package let byteLimit: Int
  package let path: String
  /// What was found wrong with the file when it was opened, for the log.
  package let notice: String?
  private let writer: Mutex<SQLiteDatabase>
  private let reader: Mutex<SQLiteDatabase>
  /// A lease need not outlive a loss of power, so nobody waits for the disk to take one.
  private let leaseWriter: Mutex<SQLiteDatabase>

  /// Opens a store, which is made where it is not there.
  ///
  /// One that is damaged or of another version is put aside under another name, and an empty one takes its place.
  ///
  /// - Throws: `TierError` where the file cannot be opened or made.
  package init(path: String, byteLimit: Int = 10 << 30, durability: Durability = .power) throws(TierError) {
    (self.path, self.byteLimit) = (path, byteLimit)
    var notice: String?
    let database: SQLiteDatabase
    do throws(TierError) {
      database = try Self.open(path, byteLimit, durability)
    } catch .corrupt(let reason) {
      let aside = try Self.putAside(path)
      notice = "\(path): \(reason); it is kept as \(aside), and sessions are stored anew"
      database = try Self.open(path, byteLimit, durability)
    }
    self.notice = notice
    writer = Mutex(database)
    reader = Mutex(try Self.open(path, byteLimit, durability))
    leaseWriter = Mutex(try Self.open(path, byteLimit, .process))
  }

  /// The file a database is made in, its settings, and its tables.
  private static func open(
    _ path: String, _ byteLimit: Int, _ durability: Durability
  ) throws(TierError) -> SQLiteDatabase {
    let database = try SQLiteDatabase(path: path)
    // The page size holds for a file that is new. What a transaction writes stands in the log first.
    try database.execute("PRAGMA page_size = \(DiskSchema.pageBytes)")
    try database.execute("PRAGMA journal_mode = WAL")
    try database.execute("PRAGMA synchronous = \(durability.rawValue)")
    try database.execute("PRAGMA journal_size_limit = \(64 << 20)")
    try database.execute("PRAGMA max_page_count = \(max(64, (byteLimit + byteLimit / 8) / DiskSchema.pageBytes))")
    try DiskSchema.prepare(database)
    return database
  }

  /// Gives a database and its log another name.
  private static func putAside(_ path: String) throws(TierError) -> String {
    for number in 1..<1000 {
      let aside = "\(path).damaged-\(number)"
      guard access(aside, F_OK) != 0 else { continue }
      guard rename(path, aside) == 0 else { throw .failed("\(path): \(String(cString: strerror(errno)))") }
      for suffix in ["-wal", "-shm"] { _ = rename(path + suffix, aside + suffix) }
      return aside
    }
    throw .failed("\(path): there are a thousand damaged stores beside it")
  }

  private func write<Result: Sendable>(
    _ body: (SQLiteDatabase) throws(TierError) -> Result
  ) throws(TierError) -> Result {
    try writer.withLock { database throws(TierError) in
      let database = database
      return try database.transaction { () throws(TierError) in try body(database) }
    }
  }

  func changeLeases<Result: Sendable>(
    _ body: (DiskLeases) throws(TierError) -> Result
  ) throws(TierError) -> Result {
    try leaseWriter.withLock { database throws(TierError) in
      let database = database
      return try database.transaction { () throws(TierError) in try body(DiskLeases(database)) }
    }
  }

  private func look<Result: Sendable>(
    _ body: (SQLiteDatabase) throws(TierError) -> Result
  ) throws(TierError) -> Result {
    try reader.withLock { database throws(TierError) in
      let database = database
      return try database.reading { () throws(TierError) in try body(database) }
    }
  }

  package func bytes() throws(TierError) -> Int {
    try look { (database) throws(TierError) in
      let bytes = try database.statement("SELECT TOTAL(bytes) FROM items").first { Int($0.integer(0)) } ?? 0
      return bytes - (try DiskBlocks(database).savedBytes())
    }
  }

  package func items() throws(TierError) -> [TierItem] {
    try look { (database) throws(TierError) in
      var items: [TierItem] = []
      try database.statement(DiskSchema.itemColumns + " ORDER BY turn").forEachRow([]) {
        items.append(TierItem($0))
      }
      return items
    }
  }

  package func item(_ key: ItemKey) throws(TierError) -> TierItem? {
    try look { (database) throws(TierError) in
      try database.statement(DiskSchema.itemColumns + " WHERE tenant = ?1 AND name = ?2")
        .first(.text(key.tenant), .text(key.name)) { TierItem($0) }
    }
  }

  package func manifest(of key: ItemKey) throws(TierError) -> [UInt8]? {
    try look { (database) throws(TierError) in
      try database.statement("SELECT manifest FROM items WHERE tenant = ?1 AND name = ?2")
        .first(.text(key.tenant), .text(key.name)) { Array($0.blob(0)) }
    }
  }

  package func startOfAnyManifest() throws(TierError) -> [UInt8]? {
    try look { (database) throws(TierError) in
      try database.statement("SELECT substr(manifest, 1, \(Manifest.startBytes)) FROM items LIMIT 1")
        .first { Array($0.blob(0)) }
    }
  }

  package func growth(with change: ItemChange) throws(TierError) -> Int {
    try look { (database) throws(TierError) in
      let item = try database.statement("SELECT id, bytes FROM items WHERE tenant = ?1 AND name = ?2")
        .first(.text(change.key.tenant), .text(change.key.name)) { ($0.integer(0), Int($0.integer(1))) }
      return try DiskBlocks(database).growth(with: change, item?.0, bytes: item?.1 ?? 0)
    }
  }

  package func apply(_ change: ItemChange) throws(TierError) -> Int {
    try write { (database) throws(TierError) in try DiskChange(database).apply(change) }
  }

  package func read(
    _ section: StoredSection, of key: ItemKey, generation: Int64, _ body: (UnsafeRawBufferPointer) -> Void
  ) throws(TierError) {
    let block = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, section.bytes), alignment: 64)
    defer { block.deallocate() }
    var ranges: [Int64: Range<Int>] = [:]
    section.forEachPage { place, range, _ in ranges[place.numberInSection] = range }
    nonisolated(unsafe) let target = block
    let count = ranges.count
    try look { (database) throws(TierError) in
      let item = try database.statement("SELECT id, generation FROM items WHERE tenant = ?1 AND name = ?2")
        .first(.text(key.tenant), .text(key.name)) { ($0.integer(0), $0.integer(1)) }
      guard let item, item.1 == generation else { throw .gone }
      var missing = count
      let (owner, first) = try DiskBlocks(database).pages(ofSection: section.number, of: item.0)
      try database.statement(
        "SELECT place - ?2, content FROM pages WHERE item = ?1 AND place BETWEEN ?2 AND ?2 + 4294967295 ORDER BY place"
      ).forEachRow([.integer(owner), .integer(first)]) { row in
        let content = row.blob(1)
        guard let range = ranges[row.integer(0)], range.count == content.count else { return }
        UnsafeMutableRawBufferPointer(rebasing: target[range]).copyMemory(from: content)
        missing -= 1
      }
      guard missing == 0 else { throw .corrupt("\(missing) pages of a session are missing") }
    }
    body(UnsafeRawBufferPointer(start: block.baseAddress, count: section.bytes))
  }

  package func remove(_ key: ItemKey, because reason: Departure) throws(TierError) {
    try write { (database) throws(TierError) in try DiskChange(database).remove(key, reason) }
  }

  package func departure(of key: ItemKey) throws(TierError) -> Departure? {
    try look { (database) throws(TierError) in
      try database.statement("SELECT reason FROM departures WHERE tenant = ?1 AND name = ?2")
        .first(.text(key.tenant), .text(key.name)) { Departure(rawValue: $0.text(0)) } ?? nil
    }
  }

  package func name(marked marks: [Int64], of tenant: String) throws(TierError) -> MarkedName? {
    try look { (database) throws(TierError) in
      let statement = try database.statement(
        "SELECT name FROM marks JOIN items ON items.id = marks.item WHERE marks.tenant = ?1 AND mark = ?2")
      for mark in marks {
        if let name = try statement.first(.text(tenant), .integer(mark), body: { $0.text(0) }) {
          return MarkedName(name: name, mark: mark)
        }
      }
      return nil
    }
  }

  package func noteUse(of key: ItemKey, at seconds: Int64) throws(TierError) {
    try write { (database) throws(TierError) in
      try database.run(
        "UPDATE items SET used = ?3, turn = (SELECT MAX(turn) + 1 FROM items) WHERE tenant = ?1 AND name = ?2",
        .text(key.tenant), .text(key.name), .integer(seconds))
    }
  }

  package func setPinned(_ isPinned: Bool, _ key: ItemKey) throws(TierError) {
    try write { (database) throws(TierError) in
      try database.run(
        "UPDATE items SET pinned = ?3 WHERE tenant = ?1 AND name = ?2", .text(key.tenant), .text(key.name),
        .integer(isPinned ? 1 : 0))
    }
  }

  package func copy(
    _ key: ItemKey, to other: ItemKey, at seconds: Int64, _ relabel: ManifestChange?
  ) throws(TierError) {
    try write { (database) throws(TierError) in try DiskChange(database).copy(key, to: other, at: seconds, relabel) }
  }
}

extension TierItem {
  /// A row of `DiskSchema.itemColumns`.
  fileprivate init(_ row: SQLiteStatement.Row) {
    self.init(
      key: ItemKey(tenant: row.text(0), name: row.text(1)), generation: row.integer(2), bytes: Int(row.integer(3)),
      saved: row.integer(4), used: row.integer(5), isPinned: row.integer(6) != 0)
  }
}
