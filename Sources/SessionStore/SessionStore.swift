import CLibrary
import Kernels
import Synchronization

/// Sessions that outlive their program: in a pool of this machine's memory, and on disk.
///
/// ```swift
/// let store = try SessionStore(path: "sessions.sluice")
/// let session = try await LanguageModelSession(model: model, resuming: "diary", in: store)
/// ```
/// A save writes only what changed since the one before, on a thread of the store's own. What is stored is checked when it is
/// read; whatever goes wrong there makes the reader compute again, and says why (`Miss`).
public final class SessionStore: Sendable {
  public struct Options: Sendable {
    /// The most bytes of sessions in memory; nil takes a quarter of the machine's.
    public var memoryBytes: Int?
    /// The most bytes of sessions on disk.
    public var diskBytes = 10 << 30
    /// Seconds after its last use at which a session that is not pinned may go; nil keeps it while there is room.
    public var lifetime: Int64?
    /// The most bytes of conversations to which nobody gave a name; they make room before those that have one. 0 keeps none.
    public var unnamedBytes = 2 << 30
    /// Seconds after its last use at which such a conversation may go; nil keeps it while there is room.
    public var unnamedLifetime: Int64? = 86_400
    /// Bytes that wait to be written, beyond which the store says that it is behind.
    public var pendingBytes = 256 << 20
    /// Seconds for which a session is waited for before it is computed again; nil takes 2, and a tenth for every 1,024 tokens,
    /// at most 30.
    public var loadSeconds: Double?
    /// Whether a save that is acknowledged survives a loss of power, not the end of the process only.
    public var survivesPowerLoss = true
    /// With what sessions are sealed where they are stored (AES-GCM, in builds with the package's trait `Sealing`); nil leaves them
    /// readable. What is in this process's memory is not sealed.
    public var key: SessionKey?

    public init() {}
  }

  let pool: MemoryTier
  /// Where sessions are safe: the disk, or the pool of a store that has none.
  let base: any StorageTier
  let options: Options
  /// Seconds since 1970.
  let now: @Sendable () -> Int64
  /// Who may write which item.
  package let leases: SessionLeases
  /// Nil where nothing is sealed.
  let seal: StoreSeal?
  private let thread = StoreThread()
  /// For what is small and waited for.
  private let fastThread = StoreThread()
  let reader = StoreThread()
  let state = Mutex(State())
  /// What was found wrong with the store when it was opened.
  public let notice: String?

  struct State {
    /// Bytes that wait to be written.
    var pending = 0
    /// Saves under way, by item.
    var unwritten: [ItemKey: Int] = [:]
    var statistics = StoreStatistics()
    var generations = KnownGenerations()
    /// Loads under way, by item.
    var loading: [ItemKey: Int] = [:]
    var estimates = LoadEstimates()
    var expectation = Expectation()
  }

  /// - Parameter path: the file of the store, made where it is not there; nil keeps sessions in memory only
  /// - Throws: an error of one line where the file cannot be opened, or is sealed with another key, or not sealed as it should be.
  public convenience init(path: String?, options: Options = Options()) throws {
    let disk = try path.map { (path) throws(TierError) in
      try DiskTier(
        path: path, byteLimit: options.diskBytes, durability: options.survivesPowerLoss ? .power : .process)
    }
    try self.init(over: disk, options: options, notice: disk?.notice)
  }

  /// A store over a tier, sealed where there is a key.
  ///
  /// - Throws: an error of one line where that cannot be. A tier that fails is no reason: it may be back later.
  package convenience init(over disk: (any StorageTier)?, options: Options, notice: String? = nil) throws {
    self.init(disk: disk, options: options, notice: notice, seal: try options.key.map { try StoreSeal($0) })
    do throws(TierError) {
      try checkSeal()
    } catch {
      if case .sealed = error { throw error }
    }
  }

  /// - Parameters:
  ///   - disk: the tier below the pool
  ///   - seal: seals that tier; the options' key is not looked at
  ///   - now: seconds since 1970; nil asks the machine
  package init(
    disk: (any StorageTier)?, options: Options = Options(), notice: String? = nil, seal: StoreSeal? = nil,
    terms: SessionLeases.Terms = SessionLeases.Terms(), now: (@Sendable () -> Int64)? = nil
  ) {
    pool = MemoryTier(byteLimit: options.memoryBytes ?? Self.defaultMemoryBytes)
    base = disk.map { tier in seal.map { SealedTier(tier, $0) } ?? tier } ?? pool
    self.seal = seal
    leases = SessionLeases(base, terms: terms)
    (self.options, self.notice, self.now) = (options, notice, now ?? { Int64(time(nil)) })
  }

  private static var defaultMemoryBytes: Int {
    max(64 << 20, sysconf(Int32(_SC_PHYS_PAGES)) / 4 * sysconf(Int32(_SC_PAGESIZE)))
  }

  var hasDisk: Bool { base !== pool }

  /// By which pages are known again.
  package var pageHash: PageHash { seal?.pageHash ?? PageHash() }

  /// Whether conversations without a name are kept.
  package var keepsUnnamed: Bool { options.unnamedBytes > 0 }

  /// Whether other machines write into the store too.
  package var isShared: Bool { base.isShared }

  /// What happened so far.
  public var statistics: StoreStatistics { state.withLock { $0.statistics } }

  func note(_ change: (inout StoreStatistics) -> Void) { state.withLock { change(&$0.statistics) } }

  // Saving.

  /// Whether so much waits to be written that new work should wait too.
  package var isBehind: Bool { state.withLock { $0.pending > options.pendingBytes } }

  /// Whether a save of an item waits to be written.
  package func isWriting(_ key: ItemKey) -> Bool { state.withLock { $0.unwritten[key] != nil } }

  /// Writes a change on the store's thread; returns at once.
  ///
  /// - Parameter done: called on that thread, once all of it is safe or nothing is written
  package func save(
    _ change: ItemChange, done: @escaping @Sendable (Result<Void, TierError>) -> Void = { _ in }
  ) {
    state.withLock { state in
      state.pending += change.bytes
      state.generations.note(change.manifest.generation, of: change.key)
      state.unwritten[change.key, default: 0] += 1
    }
    thread.enqueue { [self] in
      let result = Result { () throws(TierError) in try write(change) }
      state.withLock { state in
        state.pending -= change.bytes
        let left = (state.unwritten[change.key] ?? 1) - 1
        state.unwritten[change.key] = left > 0 ? left : nil
      }
      done(result)
    }
  }

  /// Writes a small item that nobody else writes, in front of all that waits; returns once it is safe.
  ///
  /// - Throws: `TierError` where it is not stored.
  package func saveAhead(_ change: ItemChange) async throws {
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
      fastThread.enqueue { [self] in
        continuation.resume(with: Result { () throws(TierError) in try write(change) })
      }
    }
  }

  /// Whether somebody else has saved an item since this store saved or found it.
  package func isForeign(_ key: ItemKey) -> Bool {
    if isWriting(key) { flush() }
    guard case .some(let item?) = try? base.item(key) else { return false }
    return state.withLock { $0.generations.isForeign(item.generation, of: key) }
  }

  /// Waits until all that was saved is written.
  public func flush() { thread.drain() }

  /// The same without blocking a thread.
  package func written() async {
    await withCheckedContinuation { continuation in later { _ in continuation.resume() } }
  }

  /// Seconds since 1970.
  package var seconds: Int64 { now() }

  /// Does something on the store's thread.
  func later(_ job: @escaping @Sendable (SessionStore) -> Void) { thread.enqueue { [self] in job(self) } }
}

/// The newest generations of items that a store wrote or found itself: one more than the newest, since a save may fail.
struct KnownGenerations {
  private static let limit = 1 << 16
  private var known: [ItemKey: (newest: Int64, before: Int64)] = [:]

  mutating func note(_ generation: Int64, of key: ItemKey) {
    // To know nothing of an item does no harm: it then counts as nobody else's.
    if known.count >= Self.limit { known = [:] }
    guard known[key]?.newest != generation else { return }
    known[key] = (generation, known[key]?.newest ?? generation)
  }

  func isForeign(_ generation: Int64, of key: ItemKey) -> Bool {
    known[key].map { $0.newest != generation && $0.before != generation } ?? false
  }
}

/// What happened in a store since it was opened.
public struct StoreStatistics: Sendable, Hashable {
  public var saves = 0
  /// Bytes of pages that saves wrote.
  public var savedBytes = 0
  /// Saves that failed; what they were to write is written with the next one.
  public var failedSaves = 0
  /// Items that were found, by the tier in which they were.
  public var hits: [String: Int] = [:]
  /// Items that were not found or of no use, by `Miss.code`.
  public var misses: [String: Int] = [:]
  public var evictions = 0
  /// Items that were brought from disk to memory before anybody asked.
  public var prefetches = 0
}
