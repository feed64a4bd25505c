import CacheTestSupport
import Kernels
import Testing

@testable import KVCaches

@Suite("Taking back a part of a step")
struct DividedStepTests {
  typealias Subject = MatrixSubject

  /// Plans in which counters decide on every step.
  static let plans = StageMatrix.plans.filter { plan in
    !["clusters", "uniform", "moments", "compressive", "h2o", "tova", "scored", "cascading:20/1", "cascading:28/3"]
      .contains { plan.contains($0) }
  }

  private func makeCache(_ plan: String, _ slotType: KVCache.SlotType, ofSingleTokens: Bool) throws -> KVCache {
    let cache = try KVCache(
      plan: KVCache.Plan(plan), shape: Subject.shape, slotType: slotType, positions: Subject.positions)
    try cache.keepUndoLog(depth: 24, ofSingleTokens: ofSingleTokens)
    return cache
  }

  @Test(
    "what stays of a step is bit for bit what it would be alone, and so is all that follows",
    arguments: plans, KVCache.SlotType.allCases)
  func everyCut(plan: String, slotType: KVCache.SlotType) throws {
    let attention = try Subject.attention(threads: 1)
    for (first, size) in [(0, 4), (3, 7), (13, 1), (16, 6), (29, 5), (30, 12)] {
      let prompted = { (cache: KVCache) in
        _ = attention.run(cache, Subject.sequence, tokens: 0..<first, chunking: .random(largest: 9, seed: 4))
        attention.endPrompt(of: cache)
      }
      let size = try {
        let cache = try makeCache(plan, slotType, ofSingleTokens: true)
        prompted(cache)
        return cache.admissibleChunk(size)
      }()
      for kept in 0..<size {
        let cache = try makeCache(plan, slotType, ofSingleTokens: kept % 2 == 0)
        let alone = try makeCache(plan, slotType, ofSingleTokens: true)
        for cache in [cache, alone] { prompted(cache) }
        let before = cache.snapshot()
        _ = attention.run(cache, Subject.sequence, tokens: first..<first + size, chunking: .whole)
        if size == 1, kept % 2 != 0 { continue }
        // Other tokens came behind those that stay.
        #expect(try cache.rollBack(tokens: size - kept) == size - kept, "\(plan), \(kept) of \(size) at \(first)")
        if kept > 0 {
          _ = attention.run(alone, Subject.sequence, tokens: first..<first + kept, chunking: .whole)
        }
        #expect(cache.snapshot() == alone.snapshot(), "\(plan) \(slotType), \(kept) of \(size) at \(first)")
        guard kept > 0 else { continue }
        let rest = first + kept..<first + kept + 9
        let chunking = Chunking.sizes([2, 1, 4, 1])
        #expect(
          attention.run(cache, Subject.sequence, tokens: rest, chunking: chunking)
            == attention.run(alone, Subject.sequence, tokens: rest, chunking: chunking))
        #expect(cache.snapshot() == alone.snapshot())
        guard kept % 2 == 0 else { continue }
        // What was left of the step is taken back in its turn, in two parts.
        try cache.rollBack(tokens: 9)
        try cache.rollBack(tokens: 1)
        if kept > 1 { try cache.rollBack(tokens: kept - 1) }
        #expect(cache.snapshot() == before, "\(plan), all of \(kept) at \(first)")
      }
    }
  }

  @Test("trying tokens again and again does not use up the log")
  func manyTrials() throws {
    let attention = try Subject.attention(threads: 1)
    for plan in ["full", "streaming-llm:4+12", "sinks:5,window:1,window:2,window:3"] {
      let cache = try makeCache(plan, .float16, ofSingleTokens: false)
      let plain = try makeCache(plan, .float16, ofSingleTokens: false)
      var next = 0
      while next < 40 {
        let kept = 1 + next % 5
        let tried = cache.admissibleChunk(kept + next % 4)
        _ = attention.step(cache, Subject.sequence, tokens: next..<next + tried)
        let wrong = max(0, tried - kept)
        #expect(try cache.rollBack(tokens: wrong) == wrong)
        _ = attention.run(plain, Subject.sequence, tokens: next..<next + tried - wrong, chunking: .whole)
        next += tried - wrong
        #expect(cache.snapshot() == plain.snapshot(), "\(plan) at \(next)")
      }
    }
  }

  @Test("steps of one token that are not noted cost nothing and end what can be taken back")
  func singleTokens() throws {
    let attention = try Subject.attention(threads: 1)
    let cache = try makeCache("full", .float32, ofSingleTokens: false)
    _ = attention.run(cache, Subject.sequence, tokens: 0..<10, chunking: .sizes([6, 4]))
    #expect(cache.undoableTokens == 10)
    _ = attention.run(cache, Subject.sequence, tokens: 10..<11, chunking: .ones)
    #expect(cache.undoableTokens == 0)
  }

  @Test("what cannot be tried says why")
  func problems() throws {
    let problem = { (plan: String) throws -> String? in
      try KVCache(plan: KVCache.Plan(plan), shape: Subject.shape, positions: Subject.positions).trialProblem
    }
    for plan in ["full", "streaming-llm:4+12", "window:5", "sinks:2,window:5,tokens", "snapkv:20[window=7]"] {
      #expect(try problem(plan) == nil, "\(plan)")
    }
    #expect(
      try problem("quest:32[dense-layers=1]")
        == "under 'quest:32[dense-layers=1]' tokens that come together read otherwise than one by one")
    #expect(try problem("h2o:16")?.hasPrefix("under 'h2o:16' tokens") == true)
    #expect(
      try problem("window:6,uniform:9")
        == "'window:6,uniform:9' melts tokens together, and what has melted cannot be taken apart")
  }
}
