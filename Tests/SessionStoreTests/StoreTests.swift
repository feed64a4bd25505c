import Synchronization
import Testing

@testable import SessionStore

/// Limits, lifetimes, tenants, and what goes wrong.
@Suite struct StoreTests {
  private let folder: StoreFolder

  init() throws { folder = try StoreFolder() }

  /// A clock that a test sets.
  final class Clock: Sendable {
    private let seconds = Atomic<Int64>(1_000_000)
    var now: Int64 {
      get { seconds.load(ordering: .relaxed) }
      set { seconds.store(newValue, ordering: .relaxed) }
    }
    func set(_ value: Int64) { seconds.store(value, ordering: .relaxed) }
    func get() -> Int64 { seconds.load(ordering: .relaxed) }
  }

  /// Saves an item of so many bytes.
  @discardableResult
  private func save(
    _ name: String, _ bytes: Int, byte: UInt8 = 7, tenant: String = "", in store: SessionStore,
    from previous: Manifest? = nil
  ) -> (manifest: Manifest, result: Result<Void, TierError>?) {
    var item = SmallItem(name, tenant: tenant)
    item.manifest = previous
    let change = item.change([bytes], byte: byte, saved: store.now(), hash: store.pageHash)
    let outcome = Outcome()
    store.save(change) { outcome.set($0) }
    store.flush()
    return (change.manifest, outcome.value)
  }

  private func miss(_ name: String, tenant: String = "", in store: SessionStore) -> Miss? {
    switch store.find(ItemKey(tenant: tenant, name: name), for: StoredCache.fingerprint) {
    case .success(let item):
      do throws(Miss) {
        for section in item.manifest.sections { try item.read(section) { _ in } }
        return nil
      } catch {
        return error
      }
    case .failure(let miss): return miss
    }
  }

  private func options(_ memory: Int, _ disk: Int, lifetime: Int64? = nil) -> SessionStore.Options {
    var options = SessionStore.Options()
    (options.memoryBytes, options.diskBytes, options.lifetime) = (memory, disk, lifetime)
    return options
  }

  @Test(arguments: Tiers.allCases)
  func `bytes stay within the limits, and those used longest ago go first`(tiers: Tiers) throws {
    let store = try tiers.store(folder, options: options(250_000, tiers == .memory ? 0 : 500_000))
    let limit = tiers == .memory ? 250_000 : 500_000
    for index in 0..<12 {
      #expect(try save("\(index)", 90_000, in: store).result?.get() != nil)
      #expect(
        try store.base.bytes() <= limit && store.pool.bytes() <= (tiers == .both || tiers == .memory ? 250_000 : 0))
      // The first one is used again and again, so it stays.
      #expect(miss("0", in: store) == nil)
      store.flush()
    }
    let kept = try Set(store.sessions().map(\.name))
    #expect(kept == (tiers == .memory ? ["0", "11"] : ["0", "8", "9", "10", "11"]))
    #expect(miss("3", in: store) == .evicted && miss("never", in: store) == .neverStored)
    #expect(store.statistics.evictions == (tiers == .memory ? 10 : 7))
    #expect(store.statistics.misses == ["evicted": 1, "never-stored": 1])
  }

  @Test func `what has no name makes room first, within bytes and a lifetime of its own`() throws {
    var limits = options(0, 500_000)
    (limits.unnamedBytes, limits.unnamedLifetime) = (200_000, 100)
    let clock = Clock()
    let store = try Tiers.disk.store(folder, options: limits) { clock.get() }
    let kept = { try store.base.items().map { ($0.key.isUnnamed ? "-" : "") + $0.key.name } }
    let unnamed = ItemKey.unnamed("", of: "").tenant
    for name in ["a", "b", "c"] { try save(name, 90_000, tenant: unnamed, in: store).result?.get() }
    #expect(try kept() == ["-b", "-c"], "the bytes of those without a name")
    for name in ["d", "e", "f", "g"] { try save(name, 90_000, in: store).result?.get() }
    #expect(try kept() == ["-c", "d", "e", "f", "g"])
    try save("h", 90_000, in: store).result?.get()
    #expect(try kept() == ["d", "e", "f", "g", "h"])
    #expect(throws: TierError.full) { try save("i", 90_000, tenant: unnamed, in: store).result?.get() }
    #expect(throws: TierError.full) { try save("i", 200_001, tenant: unnamed, in: store).result?.get() }
    try save("j", 40_000, tenant: unnamed, in: store).result?.get()
    clock.set(1_000_101)
    #expect(miss("j", tenant: unnamed, in: store) == .expired && miss("d", in: store) == nil)
  }

  @Test(arguments: Tiers.allCases)
  func `pinned items make no room, and what finds none is refused and leaves nothing`(tiers: Tiers) throws {
    let store = try tiers.store(folder, options: options(250_000, 250_000))
    for name in ["a", "b"] {
      try save(name, 100_000, in: store).result?.get()
      #expect(try store.setPinned(true, name))
    }
    #expect(throws: TierError.full) { try save("c", 100_000, in: store).result?.get() }
    #expect(throws: TierError.full) { try save("d", 300_000, in: store).result?.get() }
    #expect(try store.sessions().map(\.name).sorted() == ["a", "b"])
    #expect(miss("a", in: store) == nil && miss("b", in: store) == nil && miss("c", in: store) == .neverStored)
    #expect(store.statistics.failedSaves == 2)
    #expect(try store.setPinned(false, "a"))
    try save("c", 100_000, in: store).result?.get()
    #expect(try store.sessions().map(\.name).sorted() == ["b", "c"])
    #expect(try !store.setPinned(true, "none"))
  }

  @Test(arguments: Tiers.allCases)
  func `items expire after their last use, however the clock jumps`(tiers: Tiers) throws {
    let clock = Clock()
    let store = try tiers.store(folder, options: options(1 << 20, 1 << 20, lifetime: 100)) { clock.get() }
    for name in ["a", "b", "c"] { try save(name, 100, in: store).result?.get() }
    _ = try store.setPinned(true, "c")
    clock.set(1_000_090)
    #expect(miss("a", in: store) == nil)
    store.flush()
    clock.set(1_000_150)
    #expect(miss("a", in: store) == nil && miss("b", in: store) == .expired && miss("c", in: store) == nil)
    // A clock that is set back, even before the first save, makes nothing expire.
    clock.set(5)
    #expect(miss("a", in: store) == nil)
    store.flush()
    clock.set(.max / 2)
    #expect(miss("a", in: store) == .expired && miss("c", in: store) == nil)
    #expect(try store.sessions().map(\.name) == ["c"])
    clock.set(-5)
    try save("d", 100, in: store).result?.get()
    #expect(miss("d", in: store) == nil)
  }

  @Test(arguments: Tiers.allCases)
  func `sessions are listed, copied and removed, each tenant's for itself`(tiers: Tiers) throws {
    let store = try tiers.store(folder)
    let first = save("a", 100, in: store).manifest
    save("a", 200, tenant: "x", in: store)
    let more = tiers.overhead
    #expect(try store.sessions().map(\.bytes) == [100 + more] && store.sessions(of: "x").map(\.bytes) == [200 + more])
    #expect(try store.fork("a", as: "b") && !store.fork("none", as: "c") && store.fork("a", as: "a"))
    save("a", 150, byte: 8, in: store, from: first)
    #expect(try store.session(named: "b")?.bytes == 100 + more && store.session(named: "a")?.bytes == 150 + more)
    #expect(miss("b", in: store) == nil && miss("a", in: store) == nil && miss("b", tenant: "x", in: store) != nil)
    #expect(try store.remove("a") && !store.remove("a") && store.session(named: "a") == nil)
    #expect(miss("a", in: store) == .removed && miss("a", tenant: "x", in: store) == nil)
    let listed = try #require(try store.session(named: "b"))
    #expect(listed.model == "tiny" && listed.plan == "full" && listed.slotType == "f16" && listed.tokens == 3)
  }

  @Test func `an item of another model, tokenizer or cache is not used and stays`() throws {
    let store = try Tiers.both.store(folder)
    try save("a", 100, in: store).result?.get()
    let others = [
      Fingerprint(model: "n", tokenizer: "t", cache: "c"), Fingerprint(model: "m", tokenizer: "u", cache: "c"),
      Fingerprint(model: "m", tokenizer: "t", cache: "d"),
    ]
    for other in others {
      guard case .failure(.otherModel) = store.find(ItemKey(name: "a"), for: other) else {
        Issue.record("\(other) was given it")
        continue
      }
    }
    #expect(miss("a", in: store) == nil && store.statistics.misses == ["other-model": 3])
  }

  @Test func `a save that fails leaves what was there, and the next one that writes all serves`() throws {
    let disk = FaultyTier(try folder.disk())
    let store = SessionStore(disk: disk, options: options(1 << 20, 0)) { 5 }
    let first = save("a", 100, byte: 1, in: store).manifest
    for fault in [TierError.full, .failed("no disk"), .corrupt("worms")] {
      disk.set { $0.apply = { _ in fault } }
      #expect(throws: fault) { try save("a", 200, byte: 2, in: store, from: first).result?.get() }
      #expect(try store.session(named: "a")?.bytes == 100, "\(fault)")
      #expect(miss("a", in: store) == nil)
    }
    disk.set { _ in }
    try save("a", 300, byte: 3, in: store).result?.get()
    #expect(try store.session(named: "a")?.bytes == 300 && miss("a", in: store) == nil)
    #expect(store.statistics.failedSaves == 3 && store.statistics.saves == 2)
  }

  @Test func `any fault of a disk is a reason to compute again, or memory serves`() throws {
    for isPooled in [true, false] {
      let disk = FaultyTier(MemoryTier(byteLimit: 1 << 20))
      let store = SessionStore(disk: disk, options: options(isPooled ? 1 << 20 : 0, 0)) { 5 }
      save("a", 40_000, in: store)
      let faults: [(miss: Miss, set: (inout FaultyTier.Faults) -> Void)] = [
        (.unavailable, { $0.item = { _ in .failed("gone") } }),
        (.corrupt, { $0.item = { _ in .corrupt("worms") } }),
        (.unavailable, { $0.manifest = { _ in .failed("gone") } }),
        (.evicted, { $0.manifest = { _ in .gone } }),
        (.evicted, { $0.read = { _ in .gone } }), (.corrupt, { $0.read = { _ in .corrupt("worms") } }),
        (.corrupt, { $0.spoil = { $0[17] ^= 4 } }), (.corrupt, { $0.spoil = { $0.removeLast() } }),
        (.corrupt, { $0.spoil = { $0 = [] } }), (.corrupt, { $0.spoil = { $0[$0.count - 1] ^= 1 } }),
      ]
      for (index, fault) in faults.enumerated() {
        disk.set(fault.set)
        #expect(miss("a", in: store) == (isPooled ? nil : fault.miss), "fault \(index)")
        disk.set { _ in }
        #expect(miss("a", in: store) == nil, "after fault \(index)")
      }
    }
  }

  @Test func `a damaged file or one of another version is put aside, and a new store takes its place`() throws {
    var item = SmallItem("a")
    let spoils: [(String) throws -> Void] = [
      { try write(Array("this is no database, but longer than a header of one hundred bytes".utf8), to: $0) },
      { try write([UInt8](repeating: 0x5a, count: 100_000), to: $0) },
      { path in
        let database = try SQLiteDatabase(path: path)
        try database.execute("PRAGMA user_version = 99")
      },
    ]
    for (index, spoil) in spoils.enumerated() {
      item.manifest = nil
      do {
        let disk = try folder.disk()
        try item.put([100], whole: true, into: disk)
      }
      try spoil(folder.file)
      let disk = try folder.disk()
      let notice = try #require(disk.notice, "spoil \(index)")
      #expect(notice.contains("kept as \(folder.file).damaged-\(index + 1)"))
      #expect(try disk.items().isEmpty)
      try item.put([100], whole: true, into: disk)
      #expect(try item.records(in: disk).count == 1)
    }
  }

  @Test func `rows that are missing, short or changed on disk are found out`() throws {
    let page = StoredSection.pageBytes
    for spoil in [
      "DELETE FROM pages WHERE place = 1", "UPDATE pages SET content = substr(content, 2) WHERE place = 1",
      "UPDATE pages SET content = zeroblob(\(page)) WHERE place = 0",
      "UPDATE pages SET place = place + 1 WHERE place = 2",
      "DELETE FROM pages", "UPDATE items SET manifest = x'0011'", "UPDATE items SET manifest = zeroblob(500)",
    ] {
      let store = try Tiers.disk.store(folder)
      save("a", 2 * page + 100, in: store)
      try SQLiteDatabase(path: folder.file).execute(spoil)
      #expect(miss("a", in: store) == .corrupt, "\(spoil)")
      #expect(try store.sessions().count == 1 && store.remove("a"))
      save("a", 2 * page + 100, in: store)
      #expect(miss("a", in: store) == nil)
      try store.remove("a")
    }
  }

  @Test func `saves of one item wait for each other, and a find for all of them`() throws {
    let store = try Tiers.both.store(folder)
    var item = SmallItem("a")
    for round in 0..<40 {
      let change = item.change([30_000 + round], byte: UInt8(round))
      store.save(change)
      item.manifest = change.manifest
    }
    let found = try store.find(item.key, for: StoredCache.fingerprint).get()
    #expect(try found.record("r0") == [UInt8](repeating: 39, count: 30_039) && found.tier == "memory")
    #expect(!store.isBehind && !store.isWriting(item.key))
  }
}

private func write(_ bytes: [UInt8], to path: String) throws {
  for suffix in ["", "-wal", "-shm"] { _ = path.withCString { _ in unlinkFile(path + suffix) } }
  try writeFile(bytes, to: path)
}
