import CacheTestSupport
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// What a cache says it holds of the stream, also after tokens were taken back.
@Suite("Runs of the stream that stages hold")
struct HeldTokensTests {
  private static let shape = KVCache.Shape(layers: 2, queryHeads: 6, keyValueHeads: 2, headDim: 16)
  private static let sequence = TokenSequence(
    shape: shape, positions: .rotary(RotaryEmbedding(dim: 16, base: 10_000, layout: .halves)), count: 110, seed: 23)
  private static let inOrder = [
    "full", "window:9", "streaming-llm:4+12", "sinks:3,window:5,window:6", "window:1,window:5", "sinks:2,tokens",
  ]

  private func cache(_ plan: String, undoDepth: Int = 0) throws -> KVCache {
    let cache = try KVCache(
      plan: KVCache.Plan(plan), shape: Self.shape, slotType: .float32, positions: Self.sequence.positions)
    cache.recordTokens()
    if undoDepth > 0 { try cache.keepUndoLog(depth: undoDepth) }
    return cache
  }

  private func run(_ cache: KVCache, to last: Int, _ chunking: Chunking, after: (Int) -> Void = { _ in }) throws {
    let attention = LocalAttention(
      shape: Self.shape, team: try WorkerTeam(threads: 1), kernels: InstructionSet.current)
    _ = attention.run(cache, Self.sequence, tokens: Int(cache.tokenCount)..<last, chunking: chunking, afterStep: after)
  }

  /// `[layer][KV head][token]`
  private func held(_ cache: KVCache) -> [[[Int]]] {
    (0..<Self.shape.layers).map { layer in
      (0..<Self.shape.keyValueHeads).map { cache.heldTokens(layer: layer, head: $0) }
    }
  }

  @Test("tokens taken back are as if they had not come", arguments: inOrder)
  func rollBackInOrder(plan: String) throws {
    var expected: [[[[Int]]]] = [[[[], []], [[], []]]]
    let alone = try cache(plan)
    try run(alone, to: 110, .ones) { _ in expected.append(held(alone)) }
    for chunking in [Chunking.ones, .sizes([3, 1, 8]), .random(largest: 12, seed: 3)] {
      let cache = try cache(plan, undoDepth: 60)
      for (last, back) in [(30, 1), (45, 5), (50, 17), (80, 2), (81, 40), (110, 39)] {
        try run(cache, to: last, chunking)
        try cache.rollBack(tokens: back)
        #expect(held(cache) == expected[last - back], "\(plan), \(chunking), \(back) of \(last)")
      }
    }
  }

  @Test(
    "where heads choose, whole steps are taken back",
    arguments: ["cascading:36/4", "h2o:24", "tova:18", "sinks:2,window:5,scored:9[positions=original]"])
  func rollBackChosen(plan: String) throws {
    for size in [1, 3] {
      let cache = try cache(plan, undoDepth: 30)
      var expected: [Int: [[[Int]]]] = [:]
      try run(cache, to: 90, .sizes([Int](repeating: size, count: 90 / size))) { expected[$0] = held(cache) }
      for back in [1, 5, 20] {
        try cache.rollBack(tokens: back)
        #expect(held(cache) == expected[Int(cache.tokenCount)], "\(plan), \(back)")
      }
    }
  }

  @Test("the cut of a prompt is taken back with it")
  func rollBackCut() throws {
    let subject = try PromptSubject("snapkv:40[window=8]")
    let cache = try subject.makeCache()
    cache.recordTokens()
    try cache.keepUndoLog(depth: 200)
    let held = { (0..<3).map { layer in (0..<2).map { cache.heldTokens(layer: layer, head: $0) } } }
    subject.run(cache, 120)
    subject.finish(cache)
    let cut = held()
    subject.run(cache, 10)
    try cache.rollBack(tokens: 10)
    #expect(held() == cut)
    subject.run(cache, 10)
    try cache.rollBack(tokens: 12)
    let whole = [[Int]](repeating: Array(0..<Int(cache.tokenCount)), count: 2)
    #expect(held() == [whole, whole, whole])
  }

  @Test("runs are what heads hold", arguments: inOrder + ["cascading:36/4", "h2o:24", "tova:18"])
  func runs(plan: String) throws {
    let cache = try cache(plan)
    try run(cache, to: 110, .ones)
    let group = try #require(cache.tokensByStage()?.first)
    #expect(group.heads == 4 && group.tokenCount == 110)
    var counts = [Int](repeating: 0, count: 110)
    for head in held(cache).joined() {
      for token in head { counts[token] += 1 }
    }
    for limit in [512, 5] {
      let runs = group.runs(limit: limit)
      #expect(runs.allSatisfy { $0.count <= limit })
      let sum = runs.joined().reduce(0) { $0 + $1.share * Double($1.tokens.count) }
      #expect(abs(sum - Double(counts.reduce(0, +)) / 4) < 1e-9)
    }
    var shares = [Double](repeating: 0, count: 110)
    for run in group.runs().joined() {
      for token in run.tokens { shares[token] += run.share }
    }
    #expect(shares == counts.map { Double($0) / 4 })
  }

  @Test("every stage has its own runs")
  func stages() throws {
    let cache = try cache("sinks:3,window:5,window:6")
    try run(cache, to: 50, .ones)
    let group = try #require(cache.tokensByStage()?.first)
    #expect(group.stages.map(\.name) == ["sinks:3", "window:5", "window:6"])
    #expect(group.runs().map { $0.map(\.tokens) } == [[0..<3], [45..<50], [39..<45]])
  }

  @Test(
    "what melts together is what no other stage holds",
    arguments: ["sinks:2,window:6,clusters:4", "sinks:2,window:6,scored:5,moments:2"])
  func melted(plan: String) throws {
    let cache = try cache(plan)
    try run(cache, to: 110, .ones)
    let group = try #require(cache.tokensByStage()?.first)
    var shares = [Double](repeating: 0, count: 110)
    for run in group.runs().joined() {
      for token in run.tokens { shares[token] += run.share }
    }
    #expect(shares == [Double](repeating: 1, count: 110))
    #expect(group.stages.last?.absorbs == true)
    #expect(!group.runs()[group.stages.count - 1].isEmpty)
  }

  @Test("nothing is known of a cache that was not asked")
  func unknown() throws {
    let silent = try KVCache(
      plan: KVCache.Plan("window:9"), shape: Self.shape, slotType: .float32, positions: Self.sequence.positions)
    #expect(silent.tokensByStage() == nil)
  }
}
