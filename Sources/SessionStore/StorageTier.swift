/// A place where items are kept: memory, a disk, another machine.
///
/// A change is taken in whole or not at all. Pages are what they were when they were written, or the reader finds out by
/// their hashes; a tier need not check them. Safe to use from several threads.
package protocol StorageTier: AnyObject, Sendable {
  /// One word for headers and counters: `memory`, `disk`.
  var name: String { get }
  /// The most bytes of all items.
  var byteLimit: Int { get }
  /// Bytes of all items now, what they share counted once.
  func bytes() throws(TierError) -> Int
  /// All items, those used longest ago first.
  func items() throws(TierError) -> [TierItem]
  /// One item; nil where it is not there.
  func item(_ key: ItemKey) throws(TierError) -> TierItem?
  /// The bytes of an item's manifest; nil where it is not there.
  func manifest(of key: ItemKey) throws(TierError) -> [UInt8]?
  /// The first bytes (`Manifest.startBytes`) of some item's manifest, by which one sees how all are sealed; nil where there is no item.
  func startOfAnyManifest() throws(TierError) -> [UInt8]?
  /// Bytes by which the tier grows with a change: what other items have already is not counted.
  func growth(with change: ItemChange) throws(TierError) -> Int
  /// Takes in a change.
  ///
  /// - Returns: bytes of pages that were written; those of sections that another item of the owner has are not
  /// - Throws: `TierError.sealed` where the item that is there is sealed otherwise; `TierError.outOfStep` where it was not made from the generation that is there, which then stays, and
  ///   `TierError.gone` where there is none; `TierError.fenced` where somebody else has had a newer lease of the item than the
  ///   change, or has one now and the change has none.
  @discardableResult
  func apply(_ change: ItemChange) throws(TierError) -> Int
  /// Hands over the bytes of a section as they are stored.
  ///
  /// - Throws: `TierError`, where pages are missing too.
  func read(_ section: StoredSection, of key: ItemKey, generation: Int64, _ body: (UnsafeRawBufferPointer) -> Void)
    throws(TierError)
  /// Removes an item, and remembers for a while why.
  func remove(_ key: ItemKey, because reason: Departure) throws(TierError)
  /// Why an item is not there, where that is still known.
  func departure(of key: ItemKey) throws(TierError) -> Departure?
  /// Notes that an item was used.
  func noteUse(of key: ItemKey, at seconds: Int64) throws(TierError)
  /// A pinned item makes room for no other and does not expire.
  func setPinned(_ isPinned: Bool, _ key: ItemKey) throws(TierError)
  /// Copies an item; replaces one of the new name.
  ///
  /// - Parameter relabel: makes the copy's manifest of the item's; nil takes it as it is
  func copy(_ key: ItemKey, to other: ItemKey, at seconds: Int64, _ relabel: ManifestChange?) throws(TierError)

  /// The item of a tenant that was last saved with one of these marks, the first of them that any has.
  func name(marked marks: [Int64], of tenant: String) throws(TierError) -> MarkedName?

  // Leases, by the tier's own clock.

  /// Whether other processes on other machines write here too.
  var isShared: Bool { get }
  /// Gives the lease of an item, there or not, to whoever asks first.
  ///
  /// - Parameter owner: who asks, for people
  func lease(_ key: ItemKey, to owner: String, milliseconds: Int64) throws(TierError) -> LeaseAnswer
  /// Renews a lease; also one that has run out, as long as nobody else has taken one.
  ///
  /// - Returns: whether it is still the item's.
  func renewLease(_ lease: Lease, milliseconds: Int64) throws(TierError) -> Bool
  /// Takes a lease back, if it is still the item's.
  func endLease(_ lease: Lease) throws(TierError)
}

/// Makes bytes of a manifest from those of another one.
package typealias ManifestChange = (_ manifest: [UInt8]) throws(TierError) -> [UInt8]

extension StorageTier {
  package var isShared: Bool { false }

  package func copy(_ key: ItemKey, to other: ItemKey, at seconds: Int64) throws(TierError) {
    try copy(key, to: other, at: seconds, nil)
  }

  package func growth(with change: ItemChange) throws(TierError) -> Int {
    change.manifest.bytes - (try item(change.key)?.bytes ?? 0)
  }
}

/// What a tier tells of an item without reading it.
package struct TierItem: Sendable, Hashable {
  package let key: ItemKey
  package var generation: Int64
  /// Bytes of its sections.
  package var bytes: Int
  /// When it was saved and used last, in seconds since 1970.
  package var saved: Int64
  package var used: Int64
  package var isPinned: Bool

  package init(key: ItemKey, generation: Int64, bytes: Int, saved: Int64, used: Int64, isPinned: Bool) {
    (self.key, self.generation, self.bytes) = (key, generation, bytes)
    (self.saved, self.used, self.isPinned) = (saved, used, isPinned)
  }
}

/// The name of an item, and the mark by which it was found.
package struct MarkedName: Sendable, Hashable {
  package let name: String
  package let mark: Int64

  package init(name: String, mark: Int64) { (self.name, self.mark) = (name, mark) }
}

/// Why an item left a tier.
package enum Departure: String, Sendable {
  case evicted, expired, removed

  var miss: Miss {
    switch self {
    case .evicted: .evicted
    case .expired: .expired
    case .removed: .removed
    }
  }
}

/// What a tier could not do.
package enum TierError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The item is not there, or not in the generation that was asked for.
  case gone
  /// A change was made from another generation than the one that is there.
  case outOfStep
  /// A change was made under a lease that somebody else has one after.
  case fenced
  /// There is no room left.
  case full
  /// What is stored is sealed, or not, as it is not for this program.
  case sealed(SealMismatch)
  /// What is stored is damaged.
  case corrupt(String)
  /// Anything else, such as a disk that fails.
  case failed(String)

  package var description: String {
    switch self {
    case .gone: "the session is no longer there"
    case .outOfStep: "the session was written by somebody else in the meantime"
    case .fenced: "another server has taken the session over"
    case .full: "the session store is full"
    case .sealed(let mismatch): "\(mismatch)"
    case .corrupt(let reason): "the session store is damaged: \(reason)"
    case .failed(let reason): "the session store failed: \(reason)"
    }
  }

  var miss: Miss {
    switch self {
    case .gone, .outOfStep, .fenced: .evicted
    case .corrupt: .corrupt
    case .sealed: .sealed
    case .full, .failed: .unavailable
    }
  }
}
