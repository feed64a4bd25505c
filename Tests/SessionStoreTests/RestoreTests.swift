import CacheTestSupport
import KVCaches
import Kernels
import TestSupport
import Testing

@testable import SessionStore

/// A cache that was saved and taken up goes on as if nothing had happened.
@Suite struct RestoreTests {
  private let folder: StoreFolder

  init() throws { folder = try StoreFolder() }

  /// Saves after every few tokens, each time what changed, and goes on from what is found.
  private func check(_ subject: MatrixSubject, _ tiers: Tiers, splits: [Int]) throws {
    let store = try tiers.store(folder)
    var stored = StoredCache(store, name: "\(subject.plan) \(subject.slotType) \(tiers)")
    let cache = try subject.makeCache()
    var done = 0
    let prompt = 30
    for split in splits {
      if done < prompt, split > prompt {
        _ = subject.drive(cache, done..<prompt, .sizes([7]))
        subject.attention.endPrompt(of: cache)
        done = prompt
      }
      _ = subject.drive(cache, done..<split, .sizes([7]))
      done = split
      try stored.save(cache)
      let other = try subject.makeCache()
      try stored.found().restore(other)
      #expect(other.snapshot() == cache.snapshot(), "\(subject.plan) \(subject.slotType) at \(split)")
    }
    let other = try subject.makeCache()
    try stored.found().restore(other)
    let end = min(64, done + 9)
    #expect(
      subject.drive(other, done..<end, .ones) == subject.drive(cache, done..<end, .ones),
      "\(subject.plan) \(subject.slotType)")
  }

  @Test(arguments: StageMatrix.plans)
  func `at every split point under every plan, from memory`(plan: String) throws {
    let attention = try MatrixSubject.attention(threads: 1)
    for slotType in KVCache.SlotType.allCases {
      let subject = MatrixSubject(plan: try KVCache.Plan(plan), slotType: slotType, attention: attention)
      try check(subject, .memory, splits: Array(1...60))
    }
  }

  @Test(arguments: StageMatrix.plans)
  func `at many split points under every plan, from disk`(plan: String) throws {
    let attention = try MatrixSubject.attention(threads: 1)
    for (index, slotType) in KVCache.SlotType.allCases.enumerated() {
      let subject = MatrixSubject(plan: try KVCache.Plan(plan), slotType: slotType, attention: attention)
      try check(subject, .disk, splits: Array(stride(from: 1 + index, through: 60, by: 6)))
    }
  }

  /// Heads long enough for several pages, so that parts grow by pages and blocks come and go.
  @Test(arguments: ["full", "streaming-llm:4+1300", "h2o:900", "cascading:1200/3", "window:700,moments:4"])
  func `where parts have many pages`(plan: String) throws {
    let shape = KVCache.Shape(layers: 2, queryHeads: 2, keyValueHeads: 2, headDim: 32)
    let positions = MatrixSubject.positions
    let sequence = TokenSequence(shape: shape, positions: positions, count: 3000, seed: 5)
    let attention = LocalAttention(shape: shape, team: try WorkerTeam(threads: 1), kernels: InstructionSet.current)
    let make = {
      try KVCache(plan: KVCache.Plan(plan), shape: shape, slotType: .float16, positions: positions)
    }
    for tiers in Tiers.allCases {
      let cache = try make()
      var stored = StoredCache(try tiers.store(folder), name: "\(plan) \(tiers)")
      var written: [Int] = []
      for end in [1, 300, 301, 520, 1030, 1040, 1900, 2600, 2605] {
        _ = attention.run(cache, sequence, tokens: Int(cache.tokenCount)..<end, chunking: .sizes([64]))
        written.append(try stored.save(cache).bytes)
        let other = try make()
        try stored.found().restore(other)
        #expect(other.snapshot() == cache.snapshot(), "\(plan) \(tiers) at \(end)")
      }
      let whole = try #require(stored.manifest).bytes
      if plan == "full" || plan.hasPrefix("streaming-llm") {
        #expect(written[8] * 2 < whole, "five tokens write a part only: \(written) of \(whole)")
      }
    }
  }

  @Test func `tokens that were taken back and others in their place are saved`() throws {
    let attention = try MatrixSubject.attention(threads: 1)
    for plan in ["full", "streaming-llm:4+12", "h2o:16"] {
      let subject = MatrixSubject(plan: try KVCache.Plan(plan), slotType: .float16, attention: attention)
      let cache = try subject.makeCache()
      try cache.keepUndoLog(depth: 20)
      var stored = StoredCache(try Tiers.both.store(folder), name: plan)
      _ = subject.drive(cache, 0..<20, .ones)
      try stored.save(cache)
      for back in 1...9 {
        try cache.rollBack(tokens: back)
        // Other tokens than those that stood there.
        _ = subject.drive(cache, 30..<30 + back, .ones)
        try stored.save(cache)
        let other = try subject.makeCache()
        try stored.found().restore(other)
        #expect(other.snapshot() == cache.snapshot(), "\(plan), \(back) back")
      }
      cache.reset()
      _ = subject.drive(cache, 40..<64, .ones)
      try stored.save(cache)
      let other = try subject.makeCache()
      try stored.found().restore(other)
      #expect(other.snapshot() == cache.snapshot(), "\(plan) reset")
    }
  }

  @Test func `what was restored is saved on with its changes only`() throws {
    let attention = try MatrixSubject.attention(threads: 1)
    let subject = MatrixSubject(plan: try KVCache.Plan("full"), slotType: .float32, attention: attention)
    var stored = StoredCache(try Tiers.both.store(folder))
    let cache = try subject.makeCache()
    _ = subject.drive(cache, 0..<40, .ones)
    let whole = try stored.save(cache)
    let other = try subject.makeCache()
    let found = try stored.found()
    try found.restore(other)
    var second = StoredCache(stored.store)
    second.manifest = found.manifest
    #expect(try second.save(other).bytes < whole.bytes / 10, "nothing but counters can have changed")
    _ = subject.drive(other, 40..<41, .ones)
    try second.save(other)
    #expect(throws: TierError.outOfStep, "the first writer no longer knows what is there") { try stored.save(cache) }
  }
}
