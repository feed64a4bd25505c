import CLibrary

/// A tier whose answers take as long as one says: a slow disk or network for measurements, one that hangs for tests.
package final class DelayedTier: StorageTier {
  private let under: any StorageTier
  private let delay: @Sendable (_ bytes: Int) -> Void

  /// - Parameter delay: called before each answer to a reader with its bytes, 0 where something is only looked up
  package init(_ under: any StorageTier, delay: @escaping @Sendable (_ bytes: Int) -> Void) {
    (self.under, self.delay) = (under, delay)
  }

  /// A tier that hands over so many bytes a second.
  package convenience init(_ under: any StorageTier, bytesPerSecond: Double) {
    self.init(under) { bytes in
      let microseconds = Double(bytes) / bytesPerSecond * 1e6
      if microseconds >= 1 { usleep(UInt32(min(microseconds, 1e9))) }
    }
  }

  package var name: String { under.name }
  package var byteLimit: Int { under.byteLimit }
  package func bytes() throws(TierError) -> Int { try under.bytes() }
  package func items() throws(TierError) -> [TierItem] { try under.items() }

  package func item(_ key: ItemKey) throws(TierError) -> TierItem? {
    delay(0)
    return try under.item(key)
  }

  package func manifest(of key: ItemKey) throws(TierError) -> [UInt8]? {
    delay(0)
    return try under.manifest(of: key)
  }

  package func read(
    _ section: StoredSection, of key: ItemKey, generation: Int64, _ body: (UnsafeRawBufferPointer) -> Void
  ) throws(TierError) {
    delay(section.bytes)
    try under.read(section, of: key, generation: generation, body)
  }

  package func apply(_ change: ItemChange) throws(TierError) -> Int { try under.apply(change) }
  package func remove(_ key: ItemKey, because reason: Departure) throws(TierError) {
    try under.remove(key, because: reason)
  }
  package func departure(of key: ItemKey) throws(TierError) -> Departure? { try under.departure(of: key) }
  package func noteUse(of key: ItemKey, at seconds: Int64) throws(TierError) { try under.noteUse(of: key, at: seconds) }
  package func setPinned(_ isPinned: Bool, _ key: ItemKey) throws(TierError) { try under.setPinned(isPinned, key) }
  package func copy(
    _ key: ItemKey, to other: ItemKey, at seconds: Int64, _ relabel: ManifestChange?
  ) throws(TierError) {
    try under.copy(key, to: other, at: seconds, relabel)
  }

  package func startOfAnyManifest() throws(TierError) -> [UInt8]? { try under.startOfAnyManifest() }

  package var isShared: Bool { under.isShared }

  package func name(marked marks: [Int64], of tenant: String) throws(TierError) -> MarkedName? {
    try under.name(marked: marks, of: tenant)
  }

  package func lease(_ key: ItemKey, to owner: String, milliseconds: Int64) throws(TierError) -> LeaseAnswer {
    try under.lease(key, to: owner, milliseconds: milliseconds)
  }

  package func renewLease(_ lease: Lease, milliseconds: Int64) throws(TierError) -> Bool {
    try under.renewLease(lease, milliseconds: milliseconds)
  }

  package func endLease(_ lease: Lease) throws(TierError) { try under.endLease(lease) }
}
