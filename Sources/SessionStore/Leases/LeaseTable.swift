/// The leases that a tier in memory has given out.
struct LeaseTable {
  private struct Entry {
    var token: Int64
    /// Milliseconds of the tier's clock.
    var end: Int64
  }

  private static let limit = 4096
  private var entries: [ItemKey: Entry] = [:]
  private var last: Int64 = 0

  mutating func take(_ key: ItemKey, _ owner: String, for milliseconds: Int64, at now: Int64) -> LeaseAnswer {
    if let entry = entries[key], entry.end > now { return .held(milliseconds: entry.end - now) }
    // Whoever lost such a lease carries a lower number than the next one has.
    if entries.count >= Self.limit { entries = entries.filter { $0.value.end > now } }
    last = Lease.token(after: last, at: now)
    entries[key] = Entry(token: last, end: now + milliseconds)
    return .granted(Lease(key: key, token: last, owner: owner))
  }

  /// - Returns: whether it is still the item's lease.
  mutating func renew(_ lease: Lease, for milliseconds: Int64, at now: Int64) -> Bool {
    guard entries[lease.key]?.token == lease.token else { return false }
    entries[lease.key]?.end = now + milliseconds
    return true
  }

  mutating func end(_ lease: Lease, at now: Int64) {
    if entries[lease.key]?.token == lease.token { entries[lease.key]?.end = now }
  }

  /// Whether a write with this number, or without one, may be applied.
  func admits(_ token: Int64?, _ key: ItemKey, at now: Int64) -> Bool {
    guard let entry = entries[key] else { return true }
    return token.map { $0 >= entry.token } ?? (entry.end <= now)
  }
}
