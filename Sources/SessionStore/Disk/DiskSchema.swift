/// The tables of a disk tier.
enum DiskSchema {
  /// A page of an item fills one of the database's (`StoredSection.pageBytes`), so a save changes as few as it can.
  static let pageBytes = 16 << 10

  private static let version = 3

  /// `turn` grows with each use, so that order does not hang on a clock.
  private static let tables = """
    CREATE TABLE items (
      id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL, generation INTEGER NOT NULL,
      bytes INTEGER NOT NULL, saved INTEGER NOT NULL, used INTEGER NOT NULL, turn INTEGER NOT NULL,
      pinned INTEGER NOT NULL, manifest BLOB NOT NULL, UNIQUE (tenant, name));
    CREATE TABLE pages (item INTEGER NOT NULL, place INTEGER NOT NULL, content BLOB NOT NULL);
    CREATE UNIQUE INDEX page_places ON pages (item, place);
    CREATE TABLE departures (
      turn INTEGER PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL, reason TEXT NOT NULL, UNIQUE (tenant, name));
    """

  /// What version 2 has more; times of leases are in milliseconds since 1970.
  private static let additions = """
    CREATE TABLE leases (
      tenant TEXT NOT NULL, name TEXT NOT NULL, owner TEXT NOT NULL, token INTEGER NOT NULL, ends INTEGER NOT NULL,
      lifetime INTEGER NOT NULL, PRIMARY KEY (tenant, name));
    CREATE INDEX lease_ends ON leases (ends);
    CREATE TABLE marks (
      tenant TEXT NOT NULL, mark INTEGER NOT NULL, item INTEGER NOT NULL, PRIMARY KEY (tenant, mark)) WITHOUT ROWID;
    CREATE INDEX mark_items ON marks (item);
    """

  /// What version 3 has more; a block has an address once it has settled.
  private static let blocks = """
    CREATE TABLE blocks (
      id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, address TEXT, bytes INTEGER NOT NULL, uses INTEGER NOT NULL,
      UNIQUE (tenant, address));
    CREATE TABLE block_uses (
      item INTEGER NOT NULL, section INTEGER NOT NULL, block INTEGER NOT NULL, PRIMARY KEY (item, section)) WITHOUT ROWID;
    PRAGMA user_version = \(version);
    """

  static let itemColumns = "SELECT tenant, name, generation, bytes, saved, used, pinned FROM items"

  /// Makes the tables in a new file.
  ///
  /// - Throws: `TierError.corrupt` where the file is of another version.
  static func prepare(_ database: SQLiteDatabase) throws(TierError) {
    guard try currentVersion(database) != version else { return }
    try database.transaction { () throws(TierError) in
      switch try currentVersion(database) {
      case 0: try database.execute(tables + additions + blocks)
      case 1: try database.execute(additions + blocks)
      case 2: try database.execute(blocks)
      // Another process was faster.
      case version: return
      case let other: throw .corrupt("a session store of version \(other), this program reads \(version)")
      }
    }
  }

  private static func currentVersion(_ database: SQLiteDatabase) throws(TierError) -> Int {
    try database.statement("PRAGMA user_version").first { Int($0.integer(0)) } ?? 0
  }
}
