import CacheTestSupport
import Foundation
import KVCaches
import Kernels
import TestSupport
import Testing

@testable import SessionStore

/// Items of which the start is taken up: more is not wanted, is damaged, or does not come.
@Suite struct PartialLoadTests {
  private static let shape = KVCache.Shape(layers: 2, queryHeads: 2, keyValueHeads: 2, headDim: 32)
  private static let sequence = TokenSequence(
    shape: shape, positions: MatrixSubject.positions, count: 600, seed: 3)
  /// Tokens in front of each block, and of all.
  private static let starts = [0, 64, 128, 256, 512, 530]

  private let attention: LocalAttention
  private let under = MemoryTier(byteLimit: 1 << 30)
  private let tier: FaultyTier
  private let whole: KVCache
  private let stored: StoredCache

  init() throws {
    attention = LocalAttention(
      shape: Self.shape, team: try WorkerTeam(threads: 1), kernels: InstructionSet.current)
    tier = FaultyTier(under)
    whole = try Self.makeCache()
    _ = attention.run(whole, Self.sequence, tokens: 0..<530, chunking: .sizes([64]))
    var stored = StoredCache(Self.store(tier))
    try stored.save(whole)
    self.stored = stored
  }

  private static func makeCache(_ plan: String = "full") throws -> KVCache {
    try KVCache(plan: KVCache.Plan(plan), shape: shape, positions: MatrixSubject.positions)
  }

  private static func store(_ tier: any StorageTier, seconds: Double? = nil) -> SessionStore {
    var options = SessionStore.Options()
    (options.memoryBytes, options.loadSeconds) = (0, seconds)
    return SessionStore(disk: tier, options: options) { 5 }
  }

  /// A cache that has read the first tokens by itself.
  private func read(_ tokens: Int) throws -> KVCache {
    let cache = try Self.makeCache()
    _ = attention.run(cache, Self.sequence, tokens: 0..<tokens, chunking: .sizes([64]))
    return cache
  }

  private func check(_ cache: KVCache, has tokens: Int) throws {
    let expected = try read(tokens)
    #expect(cache.snapshot() == expected.snapshot(), "\(tokens) tokens")
    #expect(
      attention.run(cache, Self.sequence, tokens: tokens..<tokens + 40, chunking: .sizes([9]))
        == attention.run(expected, Self.sequence, tokens: tokens..<tokens + 40, chunking: .sizes([9])))
  }

  @Test func `as many tokens as are wanted come, by whole panels, and what is saved next is right`() throws {
    for wanted in [0, 15, 16, 100, 127, 128, 529, 530, 9000] {
      let store = Self.store(tier)
      let cache = try Self.makeCache()
      var terms = LoadTerms()
      terms.wanted = { _ in wanted }
      let load = store.load(stored.key, for: StoredCache.fingerprint, into: cache, terms: terms)
      load.wait()
      let item = try load.begin()
      let taken = wanted >= 530 ? 530 : wanted / 16 * 16
      #expect(load.wantedTokens == min(530, wanted) && load.shortfall == nil && item.manifest.tokens == 530)
      try check(cache, has: taken)
      #expect(store.statistics.misses.isEmpty)
      // The same item goes on with another text.
      var second = StoredCache(Self.store(MemoryTier(byteLimit: 1 << 30)), name: "\(wanted)")
      second.manifest = nil
      try second.save(whole)
      _ = attention.run(cache, Self.sequence, tokens: 540..<550, chunking: .ones)
      try second.save(cache)
      let other = try Self.makeCache()
      try second.found().restore(other)
      #expect(other.snapshot() == cache.snapshot())
    }
  }

  @Test func `other caches come whole, whatever is wanted`() throws {
    for plan in ["streaming-llm:4+60", "sinks:3,tokens", "quest:64"] {
      let cache = try Self.makeCache(plan)
      _ = attention.run(cache, Self.sequence, tokens: 0..<200, chunking: .sizes([64]))
      var stored = StoredCache(Self.store(MemoryTier(byteLimit: 1 << 30)))
      try stored.save(cache)
      let other = try Self.makeCache(plan)
      var terms = LoadTerms()
      terms.wanted = { _ in 64 }
      let load = stored.store.load(stored.key, for: StoredCache.fingerprint, into: other, terms: terms)
      load.wait()
      _ = try load.begin()
      #expect(other.snapshot() == cache.snapshot(), "\(plan)")
    }
  }

  /// Reads of sections of slots, in the order in which the reader asks.
  private var slotReads: Int { 2 * (Self.starts.count - 1) }

  @Test func `in front of a damaged section all is taken up, whichever it is`() throws {
    for computes in [false, true] {
      for damaged in 0..<slotReads {
        let store = Self.store(tier)
        // The first read is that of the counters.
        tier.set { $0.read = { $0 == damaged + 1 ? .corrupt("worms") : nil } }
        let cache = try Self.makeCache()
        var terms = LoadTerms()
        // Where computing is known layers come one after another, else blocks do; nothing is said to be ready early.
        if computes { terms.computing = { _ in LoadTerms.Computing(layerSeconds: 0) } }
        let load = store.load(stored.key, for: StoredCache.fingerprint, into: cache, terms: terms)
        load.wait()
        let block = computes ? damaged % (slotReads / 2) : damaged / 2
        if block == 0 {
          #expect(throws: Miss.corrupt) { try load.begin() }
          #expect(cache.tokenCount == 0)
        } else {
          _ = try load.begin()
          #expect(load.shortfall == .corrupt && load.outcome == .whole)
          try check(cache, has: Self.starts[block])
        }
        #expect(store.statistics.misses == ["corrupt": 1], "\(damaged)")
      }
    }
  }

  @Test func `of a tier that fails the blocks are used that came whole`() throws {
    for sent in 0...slotReads {
      let store = Self.store(tier)
      tier.set { $0.read = { $0 > sent ? .failed("gone") : nil } }
      let cache = try Self.makeCache()
      let load = store.load(stored.key, for: StoredCache.fingerprint, into: cache, terms: LoadTerms())
      load.wait()
      let tokens = Self.starts[sent / 2]
      if tokens == 0 {
        #expect(throws: Miss.unavailable) { try load.begin() }
        #expect(cache.tokenCount == 0 && store.statistics.misses == ["unavailable": 1])
      } else {
        _ = try load.begin()
        #expect(load.shortfall == (tokens == 530 ? nil : .unavailable))
        try check(cache, has: tokens)
        #expect(store.statistics.misses == (tokens == 530 ? [:] : ["unavailable": 1]))
      }
    }
  }

  @Test(arguments: [1, 2, 5, 9])
  func `what came before the deadline is used, and what comes later changes nothing`(sent: Int) throws {
    let gate = LoadingTests.Gate()
    defer { gate.open() }
    // Facts, manifest and counters come first.
    gate.allow(3 + sent)
    let arrived = DispatchSemaphore(value: 0)
    let reads = Counter()
    let store = Self.store(
      DelayedTier(under) { _ in
        if reads.next() == 3 + sent { arrived.signal() }
        gate.pass()
      }, seconds: 0)
    let cache = try Self.makeCache()
    let load = store.load(stored.key, for: StoredCache.fingerprint, into: cache, terms: LoadTerms())
    arrived.wait()
    load.wait()
    let tokens = Self.starts[sent / 2]
    if tokens == 0 {
      #expect(throws: Miss.timedOut) { try load.begin() }
    } else {
      _ = try load.begin()
      #expect(load.shortfall == .timedOut && load.outcome == .whole)
      try check(cache, has: tokens)
    }
    let snapshot = cache.snapshot()
    gate.open()
    store.reader.drain()
    #expect(cache.snapshot() == snapshot && cache.failure == nil)
    #expect(store.statistics.misses == ["timed-out": 1])
  }

  /// Counts from 0.
  private final class Counter: @unchecked Sendable {
    private let lock = NSLock()
    private var count = 0
    func next() -> Int {
      lock.withLock {
        defer { count += 1 }
        return count
      }
    }
  }
}
