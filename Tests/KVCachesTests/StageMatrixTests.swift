import KVCaches
import Kernels
import Testing

/// The caches that every general test runs through: a new stage joins with one row.
enum StageMatrix {
  static let plans: [String] = [
    "full",
    "sinks:3,tokens",
    "window:7,tokens",
    "sinks:2,window:5,tokens",
    "window:1",
    "window:2",
    "window:15",
    "window:16",
    "window:17",
    "window:40",
    "sinks:1,window:1",
    "sinks:5,window:1",
    "sinks:1,window:31",
    "sinks:3,window:33",
    "window:3,window:2",
    "window:16,window:16",
    "sinks:1,window:5,window:9",
    "sinks:2,window:9,window:1",
    "sinks:5,window:1,window:2,window:3",
    "sinks:4,window:2,window:17,window:3",
    "streaming-llm:0+9",
    "streaming-llm:4+12",
    "cascading:20/1",
    "cascading:28/3",
    "cascading:20/4[select=off]",
    "sinks:2,window:5/1,window:7/2,scored:6[gamma=0.9999,reduce=max]",
    "h2o:16",
    "h2o:16[positions=clipped]",
    "tova:15",
    "snapkv:20[window=7]",
    "prompt:20[choose=random,window=7]",
    "k-center:20[window=7,recompress=5]",
    "snapkv[ratio=0.5,window=3,layers=pyramid,heads=adaptive,mode=every-prefill]",
    "quest:32[dense-layers=1]",
    "sinks:3,window:7,pages:32[dense-layers=0]",
    "sinks:2,window:7,clusters:9",
    "window:5,clusters:18[positions=original]",
    "sinks:2,window:6,clusters:7[half-life=9]",
    "sinks:1,window:3,clusters:12[kind=paper,t=2,s=5]",
    "window:6,clusters:8[kind=paper,delta=4]",
    "sinks:1,window:6,uniform:8",
    "window:6,moments:1",
    "sinks:3,window:9,moments:5",
    "sinks:2,window:5,scored:7,moments:6",
    "sinks:2,window:5,scored:4[positions=original],moments:6[positions=original]",
    "sinks:1,window:3/1,window:4/2,moments:4",
  ]
}

@Suite("Every cache with every slot type")
struct StageMatrixTests {
  @Test("prefill, decode, save and restore", arguments: StageMatrix.plans, KVCache.SlotType.allCases)
  func everyCache(plan: String, slotType: KVCache.SlotType) throws {
    let subject = Subject(
      plan: try KVCache.Plan(plan), slotType: slotType, attention: try Subject.attention(threads: 1))
    try subject.prefillEqualsDecode()
    try subject.snapshotContinuesBitForBit()
    try subject.resetEqualsFresh()
  }

  // Few plans: teams of tests that run side by side wait for each other.
  @Test("save and restore in a team of threads", arguments: ["full", "streaming-llm:4+12"])
  func inTeam(plan: String) throws {
    let attention = try Subject.attention(threads: 3)
    try Subject(plan: try KVCache.Plan(plan), slotType: .float16, attention: attention).snapshotContinuesBitForBit()
  }

  struct Subject {
    static let shape = KVCache.Shape(layers: 2, queryHeads: 4, keyValueHeads: 2, headDim: 32)
    static let positions = PositionEncoding.rotary(RotaryEmbedding(dim: 32, base: 10_000, layout: .halves))
    static let sequence = TokenSequence(shape: shape, positions: positions, count: 64, seed: 17)

    static func attention(threads: Int) throws -> LocalAttention {
      LocalAttention(shape: shape, team: try WorkerTeam(threads: threads), kernels: InstructionSet.current)
    }

    let plan: KVCache.Plan
    let slotType: KVCache.SlotType
    let attention: LocalAttention

    func makeCache() throws -> KVCache {
      try KVCache(plan: plan, shape: Self.shape, slotType: slotType, positions: Self.positions)
    }

    func run(_ cache: KVCache, _ tokens: Range<Int>, _ chunking: Chunking) -> [[Float]] {
      attention.run(cache, Self.sequence, tokens: tokens, chunking: chunking) { seen in
        let bytes = KVCache.bytes(plan: plan, shape: Self.shape, slotType: slotType, tokens: seen)
        if cache.bytes != bytes || cache.tokenCount != Int64(seen) {
          Issue.record("\(plan) \(slotType) after \(seen) tokens: \(cache.bytes) bytes instead of \(bytes)")
        }
      }
    }

    /// Stages that let go in order show every token of a chunk what it would see alone; all give numbers.
    func prefillEqualsDecode() throws {
      let decoded = run(try makeCache(), 0..<64, .ones)
      #expect(decoded.allSatisfy { $0.allSatisfy(\.isFinite) })
      for chunking in [Chunking.random(largest: 30, seed: 2), .whole] {
        let filled = run(try makeCache(), 0..<64, chunking)
        #expect(filled.allSatisfy { $0.allSatisfy(\.isFinite) })
        guard plan.slidesExactly else { continue }
        let (error, place) = Self.shape.largestError(filled, decoded)
        #expect(error <= 1e-5, "\(plan) \(slotType) \(chunking): \(place)")
      }
    }

    func snapshotContinuesBitForBit() throws {
      for saved in [1, 5, 20, 47] {
        let cache = try makeCache()
        _ = run(cache, 0..<saved, .random(largest: 9, seed: 4))
        let snapshot = cache.snapshot()
        let taken = try makeCache()
        _ = run(taken, 0..<30, .ones)
        try taken.restore(snapshot)
        #expect(taken.snapshot() == snapshot, "\(plan) \(slotType) after \(saved)")
        let rest = Chunking.sizes([1, 1, 6, 1])
        #expect(run(taken, saved..<64, rest) == run(cache, saved..<64, rest), "\(plan) \(slotType) after \(saved)")
        #expect(taken.snapshot() == cache.snapshot(), "\(plan) \(slotType) after \(saved)")
      }
    }

    func resetEqualsFresh() throws {
      let used = try makeCache()
      _ = run(used, 0..<50, .sizes([9]))
      used.reset()
      #expect(used.snapshot() == (try makeCache().snapshot()), "a reset cache keeps nothing")
      #expect(used.heldTokens == 0)
      let fresh = try makeCache()
      #expect(run(used, 0..<21, .sizes([4])) == run(fresh, 0..<21, .sizes([4])), "\(plan) \(slotType)")
      #expect(used.snapshot() == fresh.snapshot(), "\(plan) \(slotType)")
    }
  }
}
