/// Leases in a database file, inside a transaction; the time is SQLite's.
struct DiskLeases {
  private let database: SQLiteDatabase

  init(_ database: SQLiteDatabase) { self.database = database }

  /// Milliseconds since 1970.
  private static let now = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
  /// A clock that was set back must not make a lease longer than it was given for.
  private static let isLive = "ends > \(now) AND ends <= \(now) + lifetime"

  func take(_ key: ItemKey, _ owner: String, for milliseconds: Int64) throws(TierError) -> LeaseAnswer {
    let now = try database.statement("SELECT \(Self.now)").first { $0.integer(0) } ?? 0
    let there = try database.statement(
      "SELECT token, ends, \(Self.isLive) FROM leases WHERE tenant = ?1 AND name = ?2"
    ).first(.text(key.tenant), .text(key.name)) {
      (token: $0.integer(0), end: $0.integer(1), isLive: $0.integer(2) != 0)
    }
    if let there, there.isLive { return .held(milliseconds: there.end - now) }
    let token = Lease.token(after: there?.token ?? 0, at: now)
    try database.run("DELETE FROM leases WHERE ends < ?1", .integer(now - Lease.memory))
    try database.run(
      "INSERT OR REPLACE INTO leases VALUES (?1, ?2, ?3, ?4, ?5, ?6)", .text(key.tenant), .text(key.name), .text(owner),
      .integer(token), .integer(now + milliseconds), .integer(milliseconds))
    return .granted(Lease(key: key, token: token, owner: owner))
  }

  func renew(_ lease: Lease, for milliseconds: Int64) throws(TierError) -> Bool {
    try database.run(
      "UPDATE leases SET ends = \(Self.now) + ?4, lifetime = ?4 WHERE tenant = ?1 AND name = ?2 AND token = ?3",
      .text(lease.key.tenant), .text(lease.key.name), .integer(lease.token), .integer(milliseconds))
    return database.changes > 0
  }

  func end(_ lease: Lease) throws(TierError) {
    try database.run(
      "UPDATE leases SET ends = \(Self.now) WHERE tenant = ?1 AND name = ?2 AND token = ?3",
      .text(lease.key.tenant), .text(lease.key.name), .integer(lease.token))
  }

  /// Whether a write with this number, or without one, may be applied.
  func admit(_ token: Int64?, _ key: ItemKey) throws(TierError) -> Bool {
    let there = try database.statement(
      "SELECT token, \(Self.isLive) FROM leases WHERE tenant = ?1 AND name = ?2"
    ).first(.text(key.tenant), .text(key.name)) { (token: $0.integer(0), isLive: $0.integer(1) != 0) }
    guard let there else { return true }
    return token.map { $0 >= there.token } ?? !there.isLive
  }
}

extension DiskTier {
  package func lease(_ key: ItemKey, to owner: String, milliseconds: Int64) throws(TierError) -> LeaseAnswer {
    try changeLeases { (leases) throws(TierError) in try leases.take(key, owner, for: milliseconds) }
  }

  package func renewLease(_ lease: Lease, milliseconds: Int64) throws(TierError) -> Bool {
    try changeLeases { (leases) throws(TierError) in try leases.renew(lease, for: milliseconds) }
  }

  package func endLease(_ lease: Lease) throws(TierError) {
    try changeLeases { (leases) throws(TierError) in try leases.end(lease) }
  }
}
