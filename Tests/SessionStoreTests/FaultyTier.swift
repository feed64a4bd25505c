import Synchronization

@testable import SessionStore

/// A tier that fails as a test wants.
final class FaultyTier: StorageTier {
  /// What to do at each call of a kind; called with how many calls of the kind came before.
  struct Faults: Sendable {
    var apply: @Sendable (Int) -> TierError? = { _ in nil }
    var item: @Sendable (Int) -> TierError? = { _ in nil }
    var manifest: @Sendable (Int) -> TierError? = { _ in nil }
    var read: @Sendable (Int) -> TierError? = { _ in nil }
    var lease: @Sendable (Int) -> TierError? = { _ in nil }
    /// Changes bytes on their way to the reader.
    var spoil: @Sendable (inout [UInt8]) -> Void = { _ in }
  }

  private struct State {
    var faults = Faults()
    var (apply, item, manifest, read, lease) = (0, 0, 0, 0, 0)
  }

  let name = "disk"
  let under: any StorageTier
  private let state = Mutex(State())
  var byteLimit: Int { under.byteLimit }

  init(_ under: any StorageTier) { self.under = under }

  func set(_ change: (inout Faults) -> Void) {
    state.withLock { state in
      state = State()
      change(&state.faults)
    }
  }

  private func check(
    _ count: any WritableKeyPath<State, Int> & Sendable,
    _ fault: any KeyPath<Faults, @Sendable (Int) -> TierError?> & Sendable
  ) throws(TierError) {
    let error = state.withLock { state in
      defer { state[keyPath: count] += 1 }
      return state.faults[keyPath: fault](state[keyPath: count])
    }
    if let error { throw error }
  }

  func bytes() throws(TierError) -> Int { try under.bytes() }
  func items() throws(TierError) -> [TierItem] { try under.items() }

  func item(_ key: ItemKey) throws(TierError) -> TierItem? {
    try check(\.item, \.item)
    return try under.item(key)
  }

  func manifest(of key: ItemKey) throws(TierError) -> [UInt8]? {
    try check(\.manifest, \.manifest)
    return try under.manifest(of: key)
  }

  func apply(_ change: ItemChange) throws(TierError) -> Int {
    try check(\.apply, \.apply)
    return try under.apply(change)
  }

  func read(
    _ section: StoredSection, of key: ItemKey, generation: Int64, _ body: (UnsafeRawBufferPointer) -> Void
  ) throws(TierError) {
    try check(\.read, \.read)
    let spoil = state.withLock { $0.faults.spoil }
    try under.read(section, of: key, generation: generation) { bytes in
      var copy = Array(bytes)
      spoil(&copy)
      copy.withUnsafeBytes(body)
    }
  }

  func remove(_ key: ItemKey, because reason: Departure) throws(TierError) { try under.remove(key, because: reason) }
  func departure(of key: ItemKey) throws(TierError) -> Departure? { try under.departure(of: key) }
  func noteUse(of key: ItemKey, at seconds: Int64) throws(TierError) { try under.noteUse(of: key, at: seconds) }
  func setPinned(_ isPinned: Bool, _ key: ItemKey) throws(TierError) { try under.setPinned(isPinned, key) }
  func copy(_ key: ItemKey, to other: ItemKey, at seconds: Int64, _ relabel: ManifestChange?) throws(TierError) {
    try under.copy(key, to: other, at: seconds, relabel)
  }

  func startOfAnyManifest() throws(TierError) -> [UInt8]? { try under.startOfAnyManifest() }

  func name(marked marks: [Int64], of tenant: String) throws(TierError) -> MarkedName? {
    try check(\.item, \.item)
    return try under.name(marked: marks, of: tenant)
  }

  func lease(_ key: ItemKey, to owner: String, milliseconds: Int64) throws(TierError) -> LeaseAnswer {
    try check(\.lease, \.lease)
    return try under.lease(key, to: owner, milliseconds: milliseconds)
  }

  func renewLease(_ lease: Lease, milliseconds: Int64) throws(TierError) -> Bool {
    try check(\.lease, \.lease)
    return try under.renewLease(lease, milliseconds: milliseconds)
  }

  func endLease(_ lease: Lease) throws(TierError) { try under.endLease(lease) }
}
