import CacheTestSupport
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// Caches whose tokens compete by score, against Float64 lists.
@Suite("Caches that choose by score")
struct SelectionTests {
  static let plans = [
    "cascading:36/4", "cascading:36/4[select=off]", "cascading:20/1", "cascading:17/4[sinks=1]",
    "cascading:28/3[gamma=0.5,reduce=mean]", "cascading:28/3[reduce=median]", "cascading:28/3[homogeneous=on]",
    "cascading:28/3[eager=off]", "cascading:28/3[schedule=linear]", "cascading:12/4[sinks=0,schedule=pow3]",
    "cascading:9/5", "cascading:36/4[schedule=half,gamma=1]",
    "sinks:2,window:5,scored:9", "window:5,scored:9[positions=original]", "sinks:3,window:1,scored:20[gamma=0]",
    "h2o:24", "h2o:20[positions=clipped,reduce=max,sinks=0]", "tova:18", "tova:18[homogeneous=on]",
    "sinks:1,window:6/1,window:6/2,scored:8[gamma=0.9999,reduce=max]",
    "sinks:2,window:5,scored:9[gamma=0.9]",
  ]

  static let chunkings: [Chunking] = [.ones, .sizes([7]), .random(largest: 30, seed: 4), .sizes([50, 1, 1, 30, 1])]

  private func check(
    _ text: String, group: Int = 3, usesLinearBias: Bool = false, slotType: KVCache.SlotType = .float32, threads: [Int],
    chunkings: [Chunking] = chunkings, headDim: Int = 16, layout: RotaryLayout = .halves
  ) throws {
    let plan = try KVCache.Plan(text)
    let shape = KVCache.Shape(layers: 2, queryHeads: 2 * group, keyValueHeads: 2, headDim: headDim)
    let positions: PositionEncoding =
      usesLinearBias
      ? .linearBias(slopes: (1...shape.queryHeads).map { 1 / Float(1 + $0) })
      : .rotary(RotaryEmbedding(dim: headDim, base: 10_000, layout: layout))
    let sequence = TokenSequence(shape: shape, positions: positions, count: 110, seed: 23)
    let reference = ReferenceSelection(sequence, plan: plan)
    for chunking in chunkings {
      let expected = reference.run(chunking)
      for threads in threads {
        let attention = LocalAttention(
          shape: shape, team: try WorkerTeam(threads: threads), kernels: InstructionSet.current)
        let cache = try KVCache(plan: plan, shape: shape, slotType: slotType, positions: positions)
        let outputs = attention.run(cache, sequence, tokens: 0..<110, chunking: chunking)
        let (error, place) = shape.largestError(outputs, expected.outputs)
        #expect(
          error <= CacheCase.tolerance(slotType),
          "\(text) \(slotType.rawValue), group \(group), \(threads) threads, \(chunking): \(place)")
      }
    }
  }

  @Test("every plan, cut into chunks in every way, equals the lists", arguments: plans)
  func everyPlan(plan: String) throws {
    try check(plan, threads: [1])
    try check(plan, group: 1, threads: [1], layout: .interleaved)
  }

  @Test("in teams of threads", arguments: ["cascading:36/4", "h2o:24", "tova:18"])
  func inTeams(plan: String) throws {
    try check(plan, threads: [2, 5], chunkings: [.ones, .sizes([40])])
  }

  @Test(
    "ALiBi", arguments: ["cascading:36/4", "cascading:20/1", "sinks:2,window:5,scored:9", "h2o:20[positions=clipped]"])
  func linearBias(plan: String) throws {
    try check(plan, usesLinearBias: true, threads: [1, 2], chunkings: [.ones, .sizes([13])])
  }

  @Test("a reset leaves zeros")
  func resetLeavesZeros() throws {
    let subject = MatrixSubject(
      plan: try KVCache.Plan("h2o:24"), slotType: .float32,
      attention: try MatrixSubject.attention(threads: 1))
    let cache = try subject.makeCache()
    _ = subject.run(cache, 0..<40, .sizes([7]))
    let numbers = try #require(cache.groups[0].state(ScoreState.self)).scores.elements
    #expect(numbers.contains { $0 > 0 })
    cache.reset()
    #expect(numbers.allSatisfy { $0 == 0 })
  }

  @Test("original positions are refused where distances are not in the keys")
  func originalPositionsWithLinearBias() throws {
    let shape = KVCache.Shape(layers: 1, queryHeads: 1, keyValueHeads: 1, headDim: 16)
    #expect(throws: KVCacheError.self) {
      try KVCache(plan: try KVCache.Plan("h2o:20"), shape: shape, positions: .linearBias(slopes: [0.5]))
    }
  }

  /// T1 and I5 of the specification.
  @Test(
    "a cascade of one level is streaming-llm, bit for bit, when tokens come one at a time",
    arguments: KVCache.SlotType.allCases)
  func oneLevel(slotType: KVCache.SlotType) throws {
    let subject = { (plan: String) in
      MatrixSubject(
        plan: try KVCache.Plan(plan), slotType: slotType, attention: try MatrixSubject.attention(threads: 1))
    }
    let cascading = try subject("cascading:20/1"), streaming = try subject("streaming-llm:4+16")
    let (a, b) = (try cascading.makeCache(), try streaming.makeCache())
    #expect(cascading.run(a, 0..<64, .ones) == streaming.run(b, 0..<64, .ones))
    #expect(a.heldTokens == 20)
  }

  /// T2: nothing is lost before the cache is full.
  @Test("before a cache fills it equals the full cache", arguments: plans)
  func equalsFullAtFirst(text: String) throws {
    let plan = try KVCache.Plan(text)
    guard !text.contains("eager=off"), let capacity = plan.capacity else { return }
    let attention = try MatrixSubject.attention(threads: 1)
    for chunking in [Chunking.ones, .sizes([5])] {
      let subject = MatrixSubject(plan: plan, slotType: .float32, attention: attention)
      let full = MatrixSubject(plan: .full, slotType: .float32, attention: attention)
      // Clipped distances are others as soon as a token falls into their stage.
      let clipped = plan.stages.filter { $0.blueprint.distance == .clipped }.compactMap(\.capacity).reduce(0, +)
      let tokens = capacity - clipped
      let outputs = subject.run(try subject.makeCache(), 0..<tokens, chunking)
      let expected = full.run(try full.makeCache(), 0..<tokens, chunking)
      let (error, place) = MatrixSubject.shape.largestError(outputs, expected)
      #expect(error <= 1e-5, "\(text) \(chunking): \(place)")
    }
  }
}
