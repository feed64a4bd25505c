/// What the store's thread does with a change.
extension SessionStore {
  func write(_ change: ItemChange) throws(TierError) {
    do throws(TierError) {
      try put(change, into: base)
    } catch {
      note { $0.failedSaves += 1 }
      throw error
    }
    note { statistics in
      statistics.saves += 1
      statistics.savedBytes += change.bytes
    }
    if hasDisk { copyToPool(change) }
  }

  /// Brings the pool to what is on disk; where it cannot, the item is on disk only.
  private func copyToPool(_ change: ItemChange) {
    do throws(TierError) {
      try put(change, into: pool)
    } catch {
      pool.remove(change.key, because: .evicted)
      if error == .gone || error == .outOfStep { promote(change.key) }
    }
  }

  /// Brings an item from disk to the pool, on the store's thread, for whoever will want it soon.
  package func prefetch(_ key: ItemKey) {
    guard hasDisk else { return }
    later { store in
      guard store.pool.item(key) == nil else { return }
      store.promote(key)
    }
  }

  /// Puts a copy of an item on disk into the pool.
  private func promote(_ key: ItemKey) {
    guard let bytes = try? base.manifest(of: key),
      let manifest = try? bytes.withUnsafeBytes({ try Manifest($0) }), manifest.bytes <= pool.byteLimit / 2
    else { return }
    let item = FoundItem(key, manifest, in: [base])
    var pages: [ItemChange.Page] = []
    for section in manifest.sections {
      let isThere: ()? = try? item.read(section) { bytes in
        section.forEachPage { place, range, _ in
          pages.append(ItemChange.Page(place: place, bytes: Array(bytes[range])))
        }
      }
      guard isThere != nil else { return }
    }
    let whole = ItemChange(key: key, manifest: manifest, base: nil, pages: pages, dropped: [], cut: [])
    try? put(whole, into: pool)
  }

  /// Writes into a tier, for which others may have to go.
  private func put(_ change: ItemChange, into tier: any StorageTier) throws(TierError) {
    guard change.manifest.bytes <= tier.byteLimit else { throw .full }
    try makeRoom(for: change, in: tier)
    while true {
      do throws(TierError) {
        return try tier.apply(change)
      } catch .full {
        guard try evict(from: tier, except: change.key) else { throw .full }
      }
    }
  }

  private func makeRoom(for change: ItemChange, in tier: any StorageTier) throws(TierError) {
    if change.key.isUnnamed, tier === base { try makeRoomAmongUnnamed(for: change) }
    let there = try tier.item(change.key)?.bytes ?? 0
    while try tier.bytes() - there + change.manifest.bytes > tier.byteLimit {
      guard try evict(from: tier, except: change.key) else { throw .full }
    }
  }

  /// Keeps conversations without a name within their bytes.
  private func makeRoomAmongUnnamed(for change: ItemChange) throws(TierError) {
    guard change.manifest.bytes <= options.unnamedBytes else { throw .full }
    let others = try base.items().filter { $0.key.isUnnamed && $0.key != change.key }
    var bytes = others.reduce(change.manifest.bytes) { $0 + $1.bytes }
    for item in others where bytes > options.unnamedBytes {
      try base.remove(item.key, because: hasExpired(item) ? .expired : .evicted)
      note { $0.evictions += 1 }
      bytes -= item.bytes
    }
  }

  /// Has the item go that has expired, or that was used longest ago of those without a name, or of all; none that has a name
  /// leaves the store for one that has none.
  ///
  /// - Returns: whether there was one.
  private func evict(from tier: any StorageTier, except key: ItemKey) throws(TierError) -> Bool {
    let items = try tier.items().filter { !$0.isPinned && $0.key != key }
    let named = key.isUnnamed && tier === base ? nil : items.first
    guard let victim = items.first(where: hasExpired) ?? items.first(where: \.key.isUnnamed) ?? named else {
      return false
    }
    try tier.remove(victim.key, because: hasExpired(victim) ? .expired : .evicted)
    if tier === base { note { $0.evictions += 1 } }
    return true
  }

  /// Whether an item may go; a clock that was set back makes none expire.
  func hasExpired(_ item: TierItem) -> Bool {
    let limit = item.key.isUnnamed ? options.unnamedLifetime : options.lifetime
    guard let lifetime = limit, !item.isPinned else { return false }
    return now() - item.used > lifetime
  }

  /// Has all items go that have expired.
  package func removeExpired() {
    for item in (try? base.items()) ?? [] where hasExpired(item) { discard(item.key, because: .expired) }
  }

  /// Has an item go from all tiers.
  func discard(_ key: ItemKey, because reason: Departure) {
    try? base.remove(key, because: reason)
    if hasDisk { pool.remove(key, because: reason) }
  }
}
