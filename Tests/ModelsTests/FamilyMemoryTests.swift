import CacheTestSupport
import KVCaches
import ModelJSON
import Models
import TestSupport
import Testing

/// Families over bounded memories: layers that differ, share keys, or have a recurrent state.
struct FamilyMemoryTests {
  static let plans = [
    "full", "streaming-llm:2+9", "h2o:16", "tova:14", "cascading:20/2", "quest:32", "snapkv:20[window=7]",
    "sinks:2,window:9,uniform:6",
  ]
  /// One for each way in which layers differ.
  static let models = [
    "gemma2", "gemma4", "gemma4-moe.gguf", "gpt-oss", "lfm2-moe", "ministral3.gguf", "mpt-odd", "phi3-partial",
    "qwen35.gguf",
    "qwen35-moe", "smollm3",
  ]

  /// A model with ALiBi cannot keep places in the stream.
  private func fits(_ model: String, _ plan: String) throws -> Bool {
    try !(model.hasPrefix("mpt") && KVCache.Plan(plan).usesOriginalPositions)
  }

  private func ids(_ model: String) throws -> [Int32] { try GoldenLogitsTests.golden(of: model)["ids"]!.tokens }

  @Test("sinks and a window answer as by their definition", arguments: FamilyLogitsTests.models)
  func streaming(model: String) throws {
    let (ids, plan) = (try ids(model), try KVCache.Plan("streaming-llm:2+9"))
    for chunk in [1, 5] {
      let runner = try ModelRunner(Golden.path(model), chunk: chunk)
      let cache = try runner.makeCache(plan)
      let reference = ReferenceAttention(cache.attention, keeping: .streaming(sinks: 2, window: 9))
      let expected = runner.logits(ids, memory: reference)
      for (token, logits) in runner.logits(ids, cache: cache).enumerated() {
        #expect(largestDifference(logits, expected[token]) < 1e-4, "token \(token), chunks of \(chunk)")
      }
    }
  }

  @Test("a cascade of windows answers as by its definition", arguments: FamilyLogitsTests.models)
  func cascading(model: String) throws {
    let ids = try ids(model)
    let runner = try ModelRunner(Golden.path(model), chunk: 1)
    let cache = try runner.makeCache(KVCache.Plan("cascading:20/2"))
    let reference = ReferenceAttention(cache.attention, keeping: .cascading(sinks: 4, windows: [8, 8]))
    let expected = runner.logits(ids, memory: reference)
    for (token, logits) in runner.logits(ids, cache: cache).enumerated() {
      #expect(largestDifference(logits, expected[token]) < 1e-4, "token \(token)")
    }
  }

  /// Of every kind of positions: a text that begins far into a stream, where angles have lost no accuracy that shows.
  @Test(
    "a stream that begins 2^33 tokens later has the same logits", arguments: FamilyLogitsTests.models,
    ["full", "streaming-llm:2+9", "cascading:20/2[eager=off]"])
  func farPositions(model: String, plan: String) throws {
    let ids = try ids(model)
    let runner = try ModelRunner(Golden.path(model), chunk: 5)
    let (near, far) = (try runner.makeCache(KVCache.Plan(plan)), try runner.makeCache(KVCache.Plan(plan)))
    try far.restore(SnapshotForge(far.snapshot()).with(tokenCount: 1 << 33))
    #expect(far.tokenCount == 1 << 33)
    let expected = runner.logits(ids, cache: near)
    for (token, logits) in runner.logits(ids, cache: far).enumerated() {
      #expect(largestDifference(logits, expected[token]) < 1e-3, "token \(token)")
    }
  }

  @Test("snapshots continue bit for bit", arguments: models, plans)
  func snapshots(model: String, plan: String) throws {
    guard try fits(model, plan) else { return }
    let ids = try ids(model)
    let runner = try ModelRunner(Golden.path(model), chunk: 7)
    let cache = try runner.makeCache(KVCache.Plan(plan), .float16)
    _ = runner.logits(Array(ids[..<30]), cache: cache)
    let other = try runner.makeCache(KVCache.Plan(plan), .float16)
    _ = runner.logits(Array(ids[..<9]), cache: other)
    try other.restore(cache.snapshot())
    #expect(other.snapshot() == cache.snapshot())
    #expect(runner.logits(Array(ids[30...]), cache: other) == runner.logits(Array(ids[30...]), cache: cache))
    let layers = runner.model.configuration.layers
    #expect(cache.bytes == KVCache.bytes(plan: cache.plan, layers: layers, slotType: .float16, tokens: 48))
  }

  @Test("tokens are taken back and come again bit for bit", arguments: models, plans.dropLast())
  func undo(model: String, plan: String) throws {
    guard try fits(model, plan) else { return }
    let ids = try ids(model)
    let runner = try ModelRunner(Golden.path(model), chunk: 1)
    let cache = try runner.makeCache(KVCache.Plan(plan), .float16)
    try cache.keepUndoLog(depth: 20)
    var expected = runner.logits(Array(ids[..<40]), cache: cache)
    for count in [1, 3, 12] {
      #expect(cache.undoableTokens >= 12)
      let taken = try cache.rollBack(tokens: count)
      #expect(taken >= count && taken < count + 3, "a copy of a recurrent state stands every other token")
      let again = runner.logits(Array(ids[(40 - taken)..<40]), cache: cache)
      #expect(again == Array(expected.suffix(taken)))
      expected.replaceSubrange(40 - taken..<40, with: again)
      let straight = try runner.makeCache(KVCache.Plan(plan), .float16)
      _ = runner.logits(Array(ids[..<40]), cache: straight)
      #expect(cache.snapshot() == straight.snapshot())
    }
    #expect(throws: KVCacheError.self) { try cache.rollBack(tokens: 41) }
  }

  @Test("sequences that go together answer as alone", arguments: models, plans)
  func together(model: String, plan: String) throws {
    guard try fits(model, plan) else { return }
    let ids = try ids(model)
    let runner = try ModelRunner(Golden.path(model), chunk: 64)
    func caches() throws -> [KVCache] { try (0..<2).map { _ in try runner.makeCache(KVCache.Plan(plan)) } }
    let (alone, together) = (try caches(), try caches())
    // The second sequence is another text, and steps are of one token and of several.
    for (first, second) in [(0..<5, 20..<21), (5..<6, 21..<27), (6..<9, 27..<28)] {
      let parts = [Array(ids[first]), Array(ids[second])]
      let expected = zip(parts, alone).map { runner.logits($0, cache: $1) }
      let logits = runner.logits(zip(parts, together).map { (ids: $0, cache: $1) })
      for (own, other) in zip(logits, expected) {
        #expect(zip(own, other).allSatisfy { largestDifference($0, $1) < 1e-5 })
      }
    }
  }

  @Test("a damaged recurrent state is refused and changes nothing")
  func hostileState() throws {
    let ids = try ids("lfm2-moe")
    let runner = try ModelRunner(Golden.path("lfm2-moe"), chunk: 7)
    let cache = try runner.makeCache()
    _ = runner.logits(Array(ids[..<20]), cache: cache)
    let snapshot = cache.snapshot()
    var damaged = snapshot
    damaged[damaged.count - 3] ^= 1
    #expect(throws: KVCacheError.self) { try cache.restore(damaged) }
    #expect(throws: KVCacheError.self) { try cache.restore(snapshot.dropLast(16)) }
    let other = try ModelRunner(Golden.path("qwen35")).makeCache()
    #expect(throws: KVCacheError.self) { try other.restore(snapshot) }
    #expect(cache.snapshot() == snapshot)
  }

  @Test("only layers with keys of their own take memory")
  func sharedKeys() throws {
    let runner = try ModelRunner(Golden.path("gemma4"), chunk: 1)
    let layers = runner.model.configuration.layers
    #expect(layers.map(\.keysOfLayer) == [nil, nil, nil, nil, 2, 3])
    #expect(layers.map(\.headDim) == [8, 16, 8, 16, 8, 16])
    #expect(layers.map(\.keyValueHeads) == [2, 2, 2, 2, 2, 2])
    // Two windowed ones, whose 9 tokens take 16 slots, and two that the plan rules.
    let bytes = { (dim: Int) in
      16
        * KVCache.bytesPerToken(
          shape: .init(layers: 2, queryHeads: 4, keyValueHeads: 2, headDim: dim), slotType: .float16)
    }
    let all = KVCache.bytes(plan: try KVCache.Plan("window:16"), layers: layers, slotType: .float16, tokens: 16)
    #expect(all == bytes(8) + bytes(16))
  }
}
