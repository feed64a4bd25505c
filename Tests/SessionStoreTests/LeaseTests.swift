import Synchronization
import Testing

@testable import SessionStore

/// One process at a time writes an item.
@Suite struct LeaseTests {
  private static let long: Int64 = 1 << 40
  private let folder: StoreFolder

  init() throws { folder = try StoreFolder() }

  /// Tiers as two processes have them.
  private func pairs() throws -> [(any StorageTier, any StorageTier)] {
    let memory = MemoryTier(byteLimit: 1 << 20)
    return [(memory, memory), (try folder.disk(), try folder.disk())]
  }

  /// Takes a lease, for which it waits.
  private func lease(
    _ name: String, of tier: any StorageTier, for milliseconds: Int64 = long
  ) throws -> Lease {
    while true {
      if case .granted(let lease) = try tier.lease(ItemKey(name: name), to: "x", milliseconds: milliseconds) {
        return lease
      }
    }
  }

  private func apply(_ change: ItemChange, _ token: Int64?, to tier: any StorageTier) throws -> Manifest {
    var change = change
    change.token = token
    try tier.apply(change)
    return change.manifest
  }

  @Test func `one at a time has an item, and what another one writes late is refused`() throws {
    for (first, second) in try pairs() {
      var item = SmallItem("a")
      let one = try lease("a", of: first)
      guard case .held(let left) = try second.lease(item.key, to: "y", milliseconds: 5) else {
        Issue.record("given twice")
        continue
      }
      #expect(left > 1 << 39 && left <= Self.long)
      #expect(try lease("b", of: second).key.name == "b", "other items are free")
      #expect(throws: TierError.fenced) { try apply(item.change([10]), nil, to: second) }
      item.manifest = try apply(item.change([10]), one.token, to: first)
      #expect(try first.renewLease(one, milliseconds: Self.long))
      try first.endLease(one)
      // Nobody has it: whoever knows what is there may write.
      item.manifest = try apply(item.change([11]), nil, to: second)

      let two = try lease("a", of: second)
      #expect(two.token > one.token)
      for token in [one.token, nil] {
        #expect(throws: TierError.fenced) { try apply(item.change([20], byte: 9), token, to: first) }
        #expect(throws: TierError.fenced) { try apply(item.change([20], whole: true), token, to: first) }
      }
      #expect(try !first.renewLease(one, milliseconds: Self.long))
      try first.endLease(one)
      guard case .held = try first.lease(item.key, to: "x", milliseconds: 5) else {
        Issue.record("ended by somebody else")
        continue
      }
      item.manifest = try apply(item.change([30], byte: 3), two.token, to: second)
      #expect(try item.records(in: first) == [[UInt8](repeating: 3, count: 30)])
      try second.remove(item.key, because: .removed)
      #expect(throws: TierError.fenced, "nor does it come back") {
        try apply(item.change([20], whole: true), one.token, to: first)
      }
    }
  }

  @Test func `a lease runs out, and until another takes it, it can be written under and renewed`() throws {
    for (first, second) in try pairs() {
      var item = SmallItem("a")
      var last = try lease("a", of: first, for: 1)
      for turn in 0..<5 {
        let next = try lease("a", of: turn.isMultiple(of: 2) ? second : first, for: 1)
        #expect(next.token > last.token)
        item.manifest = try apply(item.change([turn]), next.token, to: second)
        #expect(throws: TierError.fenced) { try apply(item.change([7]), last.token, to: first) }
        let isRenewed = try (second.renewLease(next, milliseconds: 1), first.renewLease(last, milliseconds: 1))
        #expect(isRenewed == (true, false))
        last = next
      }
    }
  }

  @Test func `a clock that is set back makes no lease longer, and numbers rise all the same`() throws {
    let clock = StoreTests.Clock()
    let tier = MemoryTier(byteLimit: 1 << 20) { clock.get() }
    let first = try lease("a", of: tier, for: 100)
    clock.set(5)
    tier.endLease(first)
    #expect(try lease("a", of: tier).token > first.token)

    let disk = try folder.disk()
    let ahead = try lease("a", of: disk)
    // As if it had been given by a clock that was a year ahead.
    try SQLiteDatabase(path: folder.file).execute(
      "UPDATE leases SET token = token + 31536000000, ends = ends + 31536000000, lifetime = 1000")
    #expect(try lease("a", of: disk).token > ahead.token + 31_536_000_000)
  }

  @Test func `a file of the version before gets leases`() throws {
    var item = SmallItem("a")
    do { try item.put([10], into: folder.disk()) }
    try SQLiteDatabase(path: folder.file).execute(
      "DROP TABLE leases; DROP TABLE marks; DROP TABLE blocks; DROP TABLE block_uses; PRAGMA user_version = 1")
    let tier = try folder.disk()
    #expect(tier.notice == nil)
    #expect(try item.records(in: tier) == [[UInt8](repeating: 7, count: 10)])
    #expect(try lease("a", of: tier).token > 0)
  }

  // What a process does with them.

  private func terms(_ change: (inout SessionLeases.Terms) -> Void = { _ in }) -> SessionLeases.Terms {
    var terms = SessionLeases.Terms()
    // A machine that stands still for a while must not decide what happens.
    (terms.lifetime, terms.patience) = (.seconds(86_400), .seconds(86_400))
    (terms.pause, terms.renewal) = (.milliseconds(1), .milliseconds(1))
    change(&terms)
    return terms
  }

  @Test func `two stores take turns, and one shares its lease with itself until all is written`() async throws {
    let tier = MemoryTier(byteLimit: 1 << 20)
    let (first, second) = (
      SessionStore(disk: tier, terms: terms()), SessionStore(disk: tier, terms: terms())
    )
    let key = ItemKey(name: "a")
    let one = try await first.leases.take(key)
    let again = try await first.leases.take(key)
    #expect(one === again)
    let waiting = Task { try await second.leases.take(key) }
    let saved = Mutex(false)
    var change = SmallItem("a").change([100])
    change.token = one.token
    first.save(change) { _ in saved.withLock { $0 = true } }
    first.leases.end(one, after: first)
    first.leases.end(one, after: first)
    let two = try await waiting.value
    #expect(saved.withLock { $0 } && !one.isLost)
    #expect(try #require(two.token) > #require(one.token))
    await one.waitForEnd(atMost: .seconds(600))
    second.leases.end(two, after: second)
    await two.waitForEnd(atMost: .seconds(600))
    #expect(try await first.leases.take(key).token != nil)
  }

  @Test func `who waits too long is told for how long, and who stood still is told that it was overtaken`() async throws
  {
    let tier = MemoryTier(byteLimit: 1 << 20)
    let patient = SessionStore(disk: tier, terms: terms())
    let impatient = SessionStore(disk: tier, terms: terms { $0.patience = .zero })
    let key = ItemKey(name: "a")
    let lease = try await patient.leases.take(key)
    await #expect(throws: LeaseRefusal.self) { try await impatient.leases.take(key) }
    // It runs out, as if nobody had renewed it, and another one takes it.
    let granted = try #require(lease.lease)
    tier.endLease(granted)
    while case .held = tier.lease(key, to: "z", milliseconds: Self.long) {
      tier.endLease(granted)
    }
    while !lease.isLost { await Task.yield() }
    patient.leases.end(lease, after: patient)
    await lease.waitForEnd(atMost: .seconds(600))
    guard case .held = tier.lease(key, to: "x", milliseconds: 1) else {
      Issue.record("what another one has was given back")
      return
    }
  }

  @Test func `a store that fails gives a lease without a number, and one that fails for a while keeps it`() async throws
  {
    let tier = FaultyTier(MemoryTier(byteLimit: 1 << 20))
    let store = SessionStore(disk: tier, terms: terms())
    let key = ItemKey(name: "a")
    let calls = Mutex(0)
    tier.set { $0.lease = { _ in .failed("away") } }
    let none = try await store.leases.take(key)
    #expect(none.token == nil)
    store.leases.end(none, after: store)
    tier.set { faults in
      faults.lease = { call in
        calls.withLock { $0 = call }
        return (1..<5).contains(call) ? .failed("away") : nil
      }
    }
    let lease = try await store.leases.take(key)
    while calls.withLock({ $0 }) < 9 { await Task.yield() }
    #expect(!lease.isLost && lease.token != nil)
  }
}
