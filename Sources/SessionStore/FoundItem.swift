package import KVCaches

/// An item that is there, in one tier or several.
///
/// A tier may let it go while it is read; the next one then serves.
package struct FoundItem: Sendable {
  package let key: ItemKey
  package let manifest: Manifest
  private let tiers: [any StorageTier]
  private let hash: PageHash

  /// - Parameter hash: the store's
  init(_ key: ItemKey, _ manifest: Manifest, in tiers: [any StorageTier], hash: PageHash = PageHash()) {
    (self.key, self.manifest, self.tiers, self.hash) = (key, manifest, tiers, hash)
  }

  /// The tier that is asked first.
  package var tier: String { tiers.first?.name ?? "" }

  /// Hands over the bytes of a section, checked against the manifest unless they come from memory.
  ///
  /// - Throws: `Miss` where no tier has them whole.
  package func read(_ section: StoredSection, _ body: (UnsafeRawBufferPointer) -> Void) throws(Miss) {
    var problem = Miss.evicted
    for tier in tiers {
      var isWhole = false
      do throws(TierError) {
        try tier.read(section, of: key, generation: manifest.generation) { bytes in
          isWhole = bytes.count == section.bytes && (tier is MemoryTier || self.isWhole(section, bytes))
          if isWhole { body(bytes) }
        }
        if isWhole { return }
        problem = .corrupt
      } catch {
        problem = error.miss
      }
    }
    throw problem
  }

  /// The bytes of a record, such as a conversation; nil where the item has none.
  package func record(_ name: String) throws(Miss) -> [UInt8]? {
    guard let section = manifest.section(.record(name)) else { return nil }
    var result: [UInt8] = []
    try read(section) { result = Array($0) }
    return result
  }

  private func isWhole(_ section: StoredSection, _ bytes: UnsafeRawBufferPointer) -> Bool {
    var isWhole = true
    section.forEachPage { _, range, expected in
      isWhole = isWhole && hash.hash(UnsafeRawBufferPointer(rebasing: bytes[range])) == expected
    }
    return isWhole
  }

  /// Has a cache be what was stored; where that fails it is as before, or to be reset where others keep its heads.
  ///
  /// - Parameter keptTokens: up to which token what others keep is what was stored, as far as they still have it
  /// - Throws: `Miss`.
  package func restore(_ cache: KVCache, keptTokens: Int64 = 0) throws(Miss) {
    do {
      try takeUp(cache, keptTokens)
    } catch let miss as Miss {
      throw miss
    } catch let error as KVCacheError where error.isElsewhere {
      throw .notTaken
    } catch {
      throw .corrupt
    }
    cache.noteSaved()
  }

  private func takeUp(_ cache: KVCache, _ keptTokens: Int64) throws {
    let memory = manifest.sections.filter { !$0.name.isRecord }
    let restoration = try withCounters(in: memory) { counters in
      try Restoration(
        cache, counters: counters, payload: memory.reduce(0) { $0 + $1.bytes }, keptTokens: keptTokens)
    }
    let missing = restoration.missingSections
    for section in memory where missing.contains(section.name) {
      var result = Result<Void, KVCacheError>.success(())
      try read(section) { bytes in
        result = Result { () throws(KVCacheError) in try restoration.take(section.name, bytes) }
      }
      try result.get()
    }
    try restoration.finish()
  }

  /// Calls `body` with the counters of all groups, in their order.
  func withCounters<Result>(
    in sections: [StoredSection], _ body: ([UnsafeRawBufferPointer]) throws -> Result
  ) throws -> Result {
    var counters: [UnsafeMutableRawBufferPointer] = []
    defer { for bytes in counters { bytes.deallocate() } }
    for section in sections.filter({ $0.name.isCounters }).sorted(by: { $0.name.group < $1.name.group }) {
      try read(section) { bytes in
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, bytes.count), alignment: 8)
        copy.copyMemory(from: bytes)
        counters.append(UnsafeMutableRawBufferPointer(rebasing: copy[..<bytes.count]))
      }
    }
    return try body(counters.map { UnsafeRawBufferPointer($0) })
  }
}
