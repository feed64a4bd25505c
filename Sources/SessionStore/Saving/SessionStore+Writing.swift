import Synchronization

/// What the store's thread does with a change.
extension SessionStore {
  func write(_ change: ItemChange) throws(TierError) {
    let written: Int
    do throws(TierError) {
      // Before anything makes room for it.
      try checkSeal()
      written = try put(change, into: base)
    } catch {
      note { $0.failedSaves += 1 }
      throw error
    }
    note { statistics in
      statistics.saves += 1
      statistics.savedBytes += written
    }
    state.withLock { $0.expectation.itemBytes.note(Double(change.manifest.bytes)) }
    if hasDisk { copyToPool(change) }
  }

  /// Brings the pool to what is on disk; where it cannot, the item is on disk only.
  private func copyToPool(_ change: ItemChange) {
    let place = place(of: change.key)
    do throws(TierError) {
      try put(change, into: pool, place: place)
    } catch {
      pool.remove(change.key, because: .evicted)
      if error == .gone || error == .outOfStep { promote(change.key, place: place) }
    }
  }

  /// Puts a copy of an item on disk into the pool.
  ///
  /// - Parameter place: how far back the queue asks for it
  /// - Returns: whether it is there.
  @discardableResult
  func promote(_ key: ItemKey, place: Int) -> Bool {
    guard let bytes = try? base.manifest(of: key),
      let manifest = try? Manifest(readable: bytes), manifest.bytes <= pool.byteLimit / 2
    else { return false }
    let item = FoundItem(key, manifest, in: [base], hash: pageHash)
    var pages: [ItemChange.Page] = []
    for section in manifest.sections {
      let clock = ContinuousClock.now
      let isThere: ()? = try? item.read(section) { bytes in
        section.forEachPage { place, range, _ in
          pages.append(ItemChange.Page(place: place, bytes: Array(bytes[range])))
        }
      }
      guard isThere != nil else { return false }
      noteRead(bytes: section.bytes, seconds: (.now - clock) / .seconds(1), from: item.tier)
    }
    let whole = ItemChange(key: key, manifest: manifest, base: nil, pages: pages, dropped: [], cut: [])
    return (try? put(whole, into: pool, place: place)) != nil
  }

  /// Writes into a tier, for which others may have to go.
  ///
  /// - Parameter place: how far back the queue asks for it: nobody goes who is asked for sooner; nil where it has to have room
  /// - Returns: bytes that were written
  @discardableResult
  private func put(_ change: ItemChange, into tier: any StorageTier, place: Int? = nil) throws(TierError) -> Int {
    guard change.manifest.bytes <= tier.byteLimit else { throw .full }
    try makeRoom(for: change, in: tier, place)
    while true {
      do throws(TierError) {
        return try tier.apply(change)
      } catch .full {
        guard try evict(from: tier, except: change.key, place) else { throw .full }
      }
    }
  }

  private func makeRoom(
    for change: ItemChange, in tier: any StorageTier, _ place: Int?
  ) throws(TierError) {
    if change.key.isUnnamed, tier === base { try makeRoomAmongUnnamed(for: change) }
    // What goes may be what the change would have shared, so the bytes are asked for again.
    while try tier.bytes() + tier.growth(with: change) > tier.byteLimit {
      guard try evict(from: tier, except: change.key, place) else { throw .full }
    }
  }

  /// Keeps conversations without a name within their bytes.
  private func makeRoomAmongUnnamed(for change: ItemChange) throws(TierError) {
    guard change.manifest.bytes <= options.unnamedBytes else { throw .full }
    let others = try base.items().filter { $0.key.isUnnamed && $0.key != change.key }
    var bytes = others.reduce(change.manifest.bytes) { $0 + $1.bytes }
    let read = state.withLock { $0.loading }
    for item in others where bytes > options.unnamedBytes && read[item.key] == nil {
      try base.remove(item.key, because: hasExpired(item) ? .expired : .evicted)
      note { $0.evictions += 1 }
      bytes -= item.bytes
    }
  }

  /// Has the item go that has expired, or that the queue asks for last, or that was used longest ago: of those without a name, or
  /// of all; none that has a name leaves the store for one that has none.
  ///
  /// - Returns: whether there was one.
  private func evict(
    from tier: any StorageTier, except key: ItemKey, _ place: Int?
  ) throws(TierError) -> Bool {
    let read = state.withLock { $0.loading }
    let items = try tier.items().filter { !$0.isPinned && $0.key != key && read[$0.key] == nil }
    let expired = items.first(where: hasExpired)?.key
    let unnamed = items.filter(\.key.isUnnamed)
    let isGuest = key.isUnnamed && tier === base
    let others = isGuest ? [] : items
    guard let victim = expired ?? victim(among: unnamed, for: place) ?? victim(among: others, for: place) else {
      return false
    }
    try tier.remove(victim, because: expired == nil ? .evicted : .expired)
    if tier === base { note { $0.evictions += 1 } }
    return true
  }

  /// Looks whether the store is sealed as this program seals it; an empty one is for anybody.
  ///
  /// - Throws: `TierError`.
  package func checkSeal() throws(TierError) {
    guard hasDisk, let start = try base.startOfAnyManifest() else { return }
    if let mismatch = SealMismatch(of: seal?.mark, with: start) { throw .sealed(mismatch) }
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

  /// Has an item go from all tiers, of a store that is this program's.
  func discard(_ key: ItemKey, because reason: Departure) {
    guard (try? checkSeal()) != nil else { return }
    try? base.remove(key, because: reason)
    if hasDisk { pool.remove(key, because: reason) }
  }
}
