import CacheTestSupport
import Foundation
import KVCaches
import Kernels
import Synchronization
import TestSupport
import Testing

@testable import SessionStore

/// Items that come into a cache layer by layer while it computes, or do not come.
@Suite struct LoadingTests {
  private let folder: StoreFolder

  init() throws { folder = try StoreFolder() }

  /// Lets answers through one by one, as a test says.
  final class Gate: @unchecked Sendable {
    private let condition = NSCondition()
    private var left: Int
    private var isOpen = false

    init(_ left: Int = 0) { self.left = left }

    func pass() {
      condition.withLock {
        while left == 0, !isOpen { condition.wait() }
        left -= isOpen ? 0 : 1
      }
    }

    func allow(_ count: Int) {
      condition.withLock { left += count }
      condition.broadcast()
    }

    func open() {
      condition.withLock { isOpen = true }
      condition.broadcast()
    }
  }

  private struct Saved {
    let subject: MatrixSubject
    let store: SessionStore
    let stored: StoredCache
    let cache: KVCache

    func load(into cache: KVCache, _ change: (inout LoadTerms) -> Void = { _ in }) -> ItemLoad {
      var terms = LoadTerms()
      change(&terms)
      return store.load(stored.key, for: StoredCache.fingerprint, into: cache, terms: terms)
    }
  }

  /// A cache of 35 tokens, saved in a tier whose answers `delay` lets through.
  private func saved(
    _ plan: String = "full", seconds: Double? = nil, delay: @escaping @Sendable (Int) -> Void = { _ in }
  ) throws -> Saved {
    var options = SessionStore.Options()
    (options.memoryBytes, options.loadSeconds) = (0, seconds)
    let tier = MemoryTier(byteLimit: 1 << 30)
    var stored = StoredCache(SessionStore(disk: tier, options: options) { 5 })
    let subject = MatrixSubject(
      plan: try KVCache.Plan(plan), slotType: .float32, attention: try MatrixSubject.attention(threads: 1))
    let cache = try subject.makeCache()
    _ = subject.drive(cache, 0..<35, .ones)
    try stored.save(cache)
    let store = SessionStore(disk: DelayedTier(tier, delay: delay), options: options) { 5 }
    return Saved(subject: subject, store: store, stored: stored, cache: cache)
  }

  @Test(arguments: StageMatrix.plans)
  func `what is loaded goes on as if it had never been away`(plan: String) throws {
    let saved = try saved(plan)
    let cache = try saved.subject.makeCache()
    let load = saved.load(into: cache)
    load.wait()
    #expect(try load.begin().manifest.tokens == 35)
    #expect(load.outcome == .whole && cache.snapshot() == saved.cache.snapshot())
    #expect(saved.subject.drive(cache, 35..<44, .ones) == saved.subject.drive(saved.cache, 35..<44, .ones))
    #expect(saved.store.statistics.misses.isEmpty)
  }

  @Test func `layers compute while later ones are still read`() throws {
    let gate = Gate()
    let saved = try saved { _ in gate.pass() }
    let cache = try saved.subject.makeCache()
    let isReady = DispatchSemaphore(value: 0)
    // Computing is said to take so long that nothing will be waited for.
    let load = saved.load(into: cache) { terms in
      terms.computing = { _ in LoadTerms.Computing(layerSeconds: 1e6) }
      terms.notify = { isReady.signal() }
    }
    // Facts, manifest, counters, the first of two layers.
    gate.allow(4)
    isReady.wait()
    #expect(load.isReady)
    _ = try load.begin()
    #expect(load.outcome == .coming && cache.tokenCount == 35)
    let thread = Thread { gate.open() }
    thread.start()
    #expect(saved.subject.drive(cache, 35..<44, .ones) == saved.subject.drive(saved.cache, 35..<44, .ones))
    load.wait()
    #expect(load.outcome == .whole && cache.snapshot() == saved.cache.snapshot())
  }

  @Test(arguments: 0..<5)
  func `a tier that hangs is waited for until the deadline, whatever it has sent`(sent: Int) throws {
    let gate = Gate(sent)
    defer { gate.open() }
    let saved = try saved(seconds: 0) { _ in gate.pass() }
    let cache = try saved.subject.makeCache()
    let empty = cache.snapshot()
    let load = saved.load(into: cache) { $0.computing = { _ in LoadTerms.Computing(layerSeconds: 1e6) } }
    load.wait()
    #expect(load.isReady)
    #expect(throws: Miss.timedOut) { try load.begin() }
    #expect(saved.store.statistics.misses == ["timed-out": 1])
    #expect(cache.snapshot() == empty)
    // What comes later changes nothing.
    let other = try saved.subject.makeCache()
    _ = saved.subject.drive(cache, 0..<9, .ones)
    gate.open()
    saved.store.reader.drain()
    _ = saved.subject.drive(other, 0..<9, .ones)
    #expect(cache.snapshot() == other.snapshot() && cache.failure == nil)
    #expect(saved.store.statistics.misses == ["timed-out": 1])
  }

  @Test func `layers that do not come in time end the step, and the cache can begin anew`() throws {
    let gate = Gate(4)
    defer { gate.open() }
    let saved = try saved(seconds: 0.2) { _ in gate.pass() }
    let cache = try saved.subject.makeCache()
    let load = saved.load(into: cache) { $0.computing = { _ in LoadTerms.Computing(layerSeconds: 1e6) } }
    while !load.isReady { sched_yield() }
    // On a machine that rests for so long the deadline may have passed already.
    if (try? load.begin()) != nil {
      _ = saved.subject.drive(cache, 35..<36, .ones)
      #expect(cache.failure != nil)
    }
    #expect(load.outcome == .failed(.timedOut))
    #expect(saved.store.statistics.misses == ["timed-out": 1])
    cache.reset()
    gate.open()
    saved.store.reader.drain()
    let other = try saved.subject.makeCache()
    #expect(saved.subject.drive(cache, 0..<9, .ones) == saved.subject.drive(other, 0..<9, .ones))
    #expect(cache.snapshot() == other.snapshot())
  }

  @Test func `a fault at any read leaves the cache as it was, and is counted once`() throws {
    let subject = try saved()
    let reads = subject.stored.manifest?.sections.count ?? 0
    #expect(reads > 2)
    for (fault, miss) in [
      (TierError.corrupt("worms"), Miss.corrupt), (.failed("gone"), .unavailable), (.gone, .evicted),
    ] {
      for read in 0..<reads {
        let tier = FaultyTier(MemoryTier(byteLimit: 1 << 30))
        var options = SessionStore.Options()
        options.memoryBytes = 0
        let store = SessionStore(disk: tier, options: options) { 5 }
        var stored = StoredCache(store)
        try stored.save(subject.cache)
        tier.set { $0.read = { $0 >= read ? fault : nil } }
        let cache = try subject.subject.makeCache()
        let empty = cache.snapshot()
        let load = store.load(stored.key, for: StoredCache.fingerprint, into: cache, terms: LoadTerms())
        load.wait()
        #expect(throws: miss) { try load.begin() }
        #expect(cache.snapshot() == empty && store.statistics.misses == [miss.code: 1], "\(fault) at \(read)")
      }
    }
  }

  @Test func `what takes longer than computing again is not loaded, and now and then is tried all the same`() throws {
    let saved = try saved()
    saved.store.noteRead(bytes: 1 << 20, seconds: 1, from: "memory")
    let bytes = try #require(saved.stored.manifest).bytes
    func miss(again: Double?) throws -> Miss? {
      let load = saved.load(into: try saved.subject.makeCache()) {
        $0.computing = { _ in LoadTerms.Computing(againSeconds: again) }
      }
      load.wait()
      do throws(Miss) {
        _ = try load.begin()
        return nil
      } catch {
        return error
      }
    }
    let seconds = Double(bytes) / Double(1 << 20)
    #expect(try miss(again: seconds) == .slower)
    #expect(saved.store.statistics.misses == ["slower": 1])
    #expect(try miss(again: nil) == nil && miss(again: seconds * 100) == nil)
    // Each time that it is not asked the tier is trusted a little more.
    saved.store.state.withLock { state in
      state.estimates = LoadEstimates()
      state.estimates.note(bytes: 1 << 20, seconds: 1, from: "memory")
    }
    let misses = try (0..<20).map { _ in try miss(again: seconds) }
    let tries = misses.prefix { $0 == .slower }.count
    #expect((1...10).contains(tries) && misses[tries] == nil)
  }

  @Test func `the lead is the least with which no layer is waited for`() {
    for layers in [1, 2, 5, 22, 40] {
      for (load, compute) in [(1.0, 4.0), (1, 1), (2, 1), (1.31, 1), (9, 2), (5, 0), (0, 1)] {
        let times = [Double](repeating: load, count: layers)
        let lead = LayerLead.layers(loadSeconds: times, computeSeconds: compute)
        let exact =
          load > compute ? (Double(layers) * load - Double(layers - 1) * compute) / load : 1
        #expect(lead == min(layers, max(1, Int((exact - 1e-9).rounded(.up)))), "\(layers) \(load) \(compute)")
        #expect(LayerLead.replay(loadSeconds: times, computeSeconds: compute, lead: lead).stall < 1e-9)
        if lead > 1 {
          #expect(LayerLead.replay(loadSeconds: times, computeSeconds: compute, lead: lead - 1).stall > 1e-9)
        }
      }
    }
    // The paper's LLaMA-13B: 31.5 ms for 1,000 tokens of history, 20 ms of computing, 40 layers. It reports -35 % for layers
    // that overlap and -61 % for 15 of them read before.
    let paper = [Double](repeating: 31.5 / 40, count: 40)
    func seconds(_ lead: Int) -> Double {
      let end = LayerLead.replay(loadSeconds: paper, computeSeconds: 0.5, lead: lead).end
      return lead == 40 ? end : end - paper.prefix(lead).reduce(0, +) + (lead == 1 ? paper[0] : 0)
    }
    #expect(LayerLead.layers(loadSeconds: paper, computeSeconds: 0.5) == 16)
    #expect(abs(seconds(40) - 51.5) < 0.01 && abs(seconds(1) - 32) < 0.01 && abs(seconds(15) - 20.19) < 0.01)
  }
}
