import CacheTestSupport
import Kernels
import Testing

@testable import KVCaches

@Suite("Taking tokens back")
struct UndoTests {
  private static let plans = StageMatrix.plans.filter { plan in
    !["clusters", "uniform", "moments", "compressive"].contains { plan.contains($0) }
  }

  typealias Subject = MatrixSubject

  private func makeCache(
    _ plan: String, _ slotType: KVCache.SlotType = .float32, depth: Int
  ) throws -> KVCache {
    let cache = try KVCache(
      plan: KVCache.Plan(plan), shape: Subject.shape, slotType: slotType, positions: Subject.positions)
    try cache.keepUndoLog(depth: depth)
    return cache
  }

  private func refusal(_ body: () throws(KVCacheError) -> Void) -> String? {
    do throws(KVCacheError) {
      try body()
      return nil
    } catch {
      return error.description
    }
  }

  @Test(
    "step for step the cache is bit for bit as it was, and goes on as if nothing had been taken back",
    arguments: plans, KVCache.SlotType.allCases)
  func stepForStep(plan: String, slotType: KVCache.SlotType) throws {
    let attention = try Subject.attention(threads: 1)
    for first in [0, 3, 11, 29] {
      let cache = try makeCache(plan, slotType, depth: 20)
      _ = attention.run(cache, Subject.sequence, tokens: 0..<first, chunking: .random(largest: 9, seed: 4))
      var before: [(tokens: Int, snapshot: [UInt8])] = [(first, cache.snapshot())]
      _ = attention.run(
        cache, Subject.sequence, tokens: first..<first + 20, chunking: .sizes([1, 4, 1, 7, 1, 1, 3, 2])
      ) { before.append(($0, cache.snapshot())) }
      let bytes = cache.bytes
      #expect(cache.undoableTokens == 20)
      for (tokens, snapshot) in before.dropLast().reversed() {
        let step = Int(cache.tokenCount) - tokens
        #expect(try cache.rollBack(tokens: step) == step)
        #expect(cache.tokenCount == Int64(tokens))
        #expect(cache.snapshot() == snapshot, "\(plan) \(slotType), back at \(tokens) of \(first + 20)")
      }
      #expect(cache.undoableTokens == 0)
      // Other tokens this time, and some of them once more.
      let fresh = try makeCache(plan, slotType, depth: 20)
      _ = attention.run(fresh, Subject.sequence, tokens: 0..<first, chunking: .random(largest: 9, seed: 4))
      for chunking in [Chunking.sizes([2, 1, 1, 5]), .ones] {
        let end = first + 15
        let taken = attention.run(cache, Subject.sequence, tokens: first..<end, chunking: chunking)
        // Of a prompt that is read whole every step copies the scores of all tokens, so more steps take more.
        #expect(cache.bytes <= bytes || plan.contains("prompt=whole"))
        #expect(taken == attention.run(fresh, Subject.sequence, tokens: first..<end, chunking: chunking))
        #expect(cache.snapshot() == fresh.snapshot(), "\(plan) \(slotType) from \(first) \(chunking)")
        for cache in [cache, fresh] { try cache.rollBack(tokens: 15) }
      }
    }
  }

  @Test("a step on which scores decided is taken back whole", arguments: ["cascading:20/4", "h2o:16"])
  func wholeSteps(plan: String) throws {
    let attention = try Subject.attention(threads: 1)
    for tokens in 0...12 {
      let cache = try makeCache(plan, depth: 12)
      _ = attention.run(cache, Subject.sequence, tokens: 0..<30, chunking: .sizes([9, 9, 3, 4, 5]))
      let taken = try cache.rollBack(tokens: tokens)
      #expect(taken == [0, 5, 9, 12].first { $0 >= tokens })
      #expect(cache.tokenCount == Int64(30 - taken) && cache.undoableTokens == 12 - taken)
    }
  }

  @Test("the log keeps the newest steps that fit into its depth")
  func depth() throws {
    let attention = try Subject.attention(threads: 1)
    let cache = try makeCache("streaming-llm:2+5", depth: 6)
    var undoable: [Int] = []
    _ = attention.run(cache, Subject.sequence, tokens: 0..<33, chunking: .sizes([1, 2, 3, 4, 5, 6, 7, 1, 1, 3])) { _ in
      undoable.append(cache.undoableTokens)
    }
    #expect(undoable == [1, 3, 6, 4, 5, 6, 0, 1, 2, 5])
    #expect(
      refusal { () throws(KVCacheError) in try cache.rollBack(tokens: 6) }
        == "cache undo: 6 tokens cannot be taken back, only the last 5")
    #expect(cache.tokenCount == 33)
  }

  @Test("teams of threads take back the same", arguments: ["streaming-llm:4+12", "cascading:28/3", "h2o:16"])
  func inTeam(plan: String) throws {
    let attention = try Subject.attention(threads: 3)
    let cache = try makeCache(plan, .float16, depth: 24)
    _ = attention.run(cache, Subject.sequence, tokens: 0..<40, chunking: .sizes([20]))
    let before = cache.snapshot()
    _ = attention.run(cache, Subject.sequence, tokens: 40..<64, chunking: .sizes([20, 1, 1, 2]))
    try cache.rollBack(tokens: 24)
    #expect(cache.snapshot() == before)
  }

  @Test("heads that follow other stages take back together")
  func parts() throws {
    let attention = try Subject.attention(threads: 1)
    for (first, others) in [("h2o:24", "cascading:20/4"), ("full", "streaming-llm:4+12")] {
      let division = HeadDivision(
        description: "\(first)|\(others)", mask: try HeadMask(text: "0 1\n1 0", name: "mask.tsv"), share: 0.5,
        others: try KVCache.Plan(others).stages)
      let plan = KVCache.Plan(stages: try KVCache.Plan(first).stages, division: division)
      let cache = try KVCache(
        plan: plan, shape: Subject.shape, slotType: .float32, positions: Subject.positions)
      try cache.keepUndoLog(depth: 10)
      _ = attention.run(cache, Subject.sequence, tokens: 0..<50, chunking: .sizes([7]))
      let before = cache.snapshot()
      _ = attention.run(cache, Subject.sequence, tokens: 50..<60, chunking: .sizes([1, 6, 3]))
      #expect(cache.snapshot() != before)
      try cache.rollBack(tokens: 10)
      #expect(cache.snapshot() == before, "\(plan)")
    }
  }

  @Test("blocks of a growing cache are given up, and what is said of its pages stays true")
  func growth() throws {
    let shape = KVCache.Shape(layers: 1, queryHeads: 1, keyValueHeads: 1, headDim: 32)
    let sequence = TokenSequence(shape: shape, positions: Subject.positions, count: 1100, seed: 5)
    let attention = LocalAttention(shape: shape, team: try WorkerTeam(threads: 1), kernels: InstructionSet.current)
    for plan in ["full", "quest:64[dense-layers=0]", "sinks:3,window:7,pages:32[dense-layers=0]"] {
      let make = {
        try KVCache(plan: KVCache.Plan(plan), shape: shape, slotType: .float16, positions: Subject.positions)
      }
      let (cache, fresh) = (try make(), try make())
      try cache.keepUndoLog(depth: 60)
      for cache in [cache, fresh] {
        _ = attention.run(cache, sequence, tokens: 0..<1005, chunking: .sizes([500, 500, 1]))
      }
      let bytes = cache.bytes
      _ = attention.run(cache, sequence, tokens: 1040..<1095, chunking: .ones)
      #expect(cache.bytes > bytes)
      try cache.rollBack(tokens: 55)
      #expect(cache.bytes == bytes)
      let rest = 1005..<1060
      #expect(
        attention.run(cache, sequence, tokens: rest, chunking: .ones)
          == attention.run(fresh, sequence, tokens: rest, chunking: .ones), "\(plan)")
    }
  }

  @Test("nothing is taken back over a reset, a snapshot, or a step longer than the log")
  func ends() throws {
    let attention = try Subject.attention(threads: 1)
    let run = { (cache: KVCache, tokens: Range<Int>) in
      _ = attention.run(cache, Subject.sequence, tokens: tokens, chunking: .whole)
    }
    let endings: [(KVCache) throws -> Void] = [
      { $0.reset() }, { try $0.restore($0.snapshot()) }, { run($0, 30..<39) },
    ]
    for end in endings {
      let cache = try makeCache("snapkv:20[window=7]", depth: 8)
      run(cache, 0..<30)
      run(cache, 30..<35)
      #expect(cache.undoableTokens == 5)
      try end(cache)
      #expect(cache.undoableTokens == 0)
      run(cache, 40..<43)
      #expect(try cache.rollBack(tokens: 3) == 3)
    }
  }

  @Test("what cannot be taken back is said in a line")
  func refusals() throws {
    let melting = try KVCache(
      plan: KVCache.Plan("window:6,uniform:9"), shape: Subject.shape, positions: Subject.positions)
    #expect(
      refusal { () throws(KVCacheError) in try melting.keepUndoLog(depth: 3) }
        == "cache undo: 'window:6,uniform:9' melts tokens together, and what has melted cannot be taken apart")
    let cache = try KVCache(plan: .full, shape: Subject.shape, positions: Subject.positions)
    for depth in [-1, KVCache.largestUndoDepth + 1] {
      #expect(
        refusal { () throws(KVCacheError) in try cache.keepUndoLog(depth: depth) }
          == "cache undo: between 0 and 65536 tokens can be taken back, not \(depth)")
    }
    #expect(
      refusal { () throws(KVCacheError) in try cache.rollBack(tokens: 1) }
        == "cache undo: no log is kept, so nothing can be taken back")
    try cache.keepUndoLog(depth: 4)
    let bytes = cache.bytes
    #expect(
      refusal { () throws(KVCacheError) in try cache.rollBack(tokens: 1) }
        == "cache undo: 1 tokens cannot be taken back, only the last 0")
    try cache.keepUndoLog(depth: 0)
    #expect(cache.bytes < bytes)
  }
}
