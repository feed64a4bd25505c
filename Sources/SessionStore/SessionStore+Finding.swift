import Synchronization

/// Looking an item up.
extension SessionStore {
  /// Finds an item for whoever has this fingerprint.
  ///
  /// Saves of it that are under way come first. What belongs to another model stays where it is.
  package func find(_ key: ItemKey, for fingerprint: Fingerprint) -> Result<FoundItem, Miss> {
    let found = find(key)
    let item: FoundItem
    switch found {
    case .success(let value): item = value
    case .failure(let miss):
      noteMiss(miss)
      return found
    }
    guard let miss = item.manifest.fingerprint.mismatch(with: fingerprint) else {
      note { $0.hits[item.tier, default: 0] += 1 }
      state.withLock { $0.generations.note(item.manifest.generation, of: key) }
      later { store in
        if store.hasDisk { store.pool.noteUse(of: key, at: store.now()) }
        try? store.base.noteUse(of: key, at: store.now())
      }
      return found
    }
    noteMiss(miss)
    return .failure(miss)
  }

  /// Finds an item, whoever it is for; not counted.
  package func find(_ key: ItemKey) -> Result<FoundItem, Miss> {
    if isWriting(key) { flush() }
    do throws(Miss) {
      return .success(try lookUp(key))
    } catch {
      return .failure(error)
    }
  }

  /// The item of a tenant with the first of some marks that any has; nil also where the store fails.
  package func name(marked marks: [Int64], of tenant: String) -> MarkedName? {
    (try? base.name(marked: marks, of: tenant)) ?? nil
  }

  /// Counts why something is computed again.
  package func noteMiss(_ miss: Miss) { note { $0.misses[miss.code, default: 0] += 1 } }

  private func lookUp(_ key: ItemKey) throws(Miss) -> FoundItem {
    let facts: TierItem?
    do throws(TierError) {
      facts = try base.item(key)
    } catch {
      // A disk that fails leaves what is in memory.
      guard hasDisk, let pooled = pool.item(key) else { throw error.miss }
      return FoundItem(key, try manifest(of: key, in: pool, pooled.generation), in: [pool], hash: pageHash)
    }
    guard let facts else { throw try departure(of: key) }
    guard !hasExpired(facts) else {
      later { $0.discard(key, because: .expired) }
      throw .expired
    }
    let isPooled = hasDisk && pool.item(key)?.generation == facts.generation
    let tiers: [any StorageTier] = isPooled ? [pool, base] : [base]
    return FoundItem(key, try manifest(of: key, in: tiers[0], facts.generation), in: tiers, hash: pageHash)
  }

  private func departure(of key: ItemKey) throws(Miss) -> Miss {
    do throws(TierError) {
      return try base.departure(of: key)?.miss ?? .neverStored
    } catch {
      throw error.miss
    }
  }

  private func manifest(of key: ItemKey, in tier: any StorageTier, _ generation: Int64) throws(Miss) -> Manifest {
    let bytes: [UInt8]?
    do throws(TierError) { bytes = try tier.manifest(of: key) } catch { throw error.miss }
    guard let bytes else { throw .evicted }
    let manifest = try Manifest(readable: bytes)
    // Another process may have saved it between two looks.
    guard manifest.generation == generation else { throw .evicted }
    return manifest
  }
}
