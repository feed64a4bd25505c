import CacheTestSupport
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// Caches whose heads follow different stages.
@Suite("Heads that differ")
struct HeadDivisionTests {
  static let shape = KVCache.Shape(layers: 3, queryHeads: 6, keyValueHeads: 2, headDim: 32)
  static let positions = PositionEncoding.rotary(RotaryEmbedding(dim: 32, base: 10_000, layout: .halves))
  static let sequence = TokenSequence(shape: shape, positions: positions, count: 80, seed: 31)

  /// Every layer another way: one of each, both, none.
  static let needs: [[Double]] = [[0.1, 0.9], [0.8, 0.7], [0.2, 0.3]]
  static let full = [1, 2, 3]

  /// The stages of the heads that need everything, and of the others; scored ones meet in one layer too.
  static let pairs = [
    ("full", "streaming-llm:2+9"), ("cascading:20/2", "h2o:16"), ("h2o:18[positions=clipped]", "window:9"),
    ("tova:15", "cascading:28/3"), ("subgen:64[window=30]", "streaming-llm:2+9"),
    ("h2o:16", "streaming-llm:2+9"), ("h2o:16[prompt=whole]", "streaming-llm:2+9[positions=original]"),
    ("snapkv:20[window=7]", "streaming-llm:2+9"),
    ("snapkv:20[window=7,mode=every-prefill]", "h2o:16"), ("prompt:20[choose=random,window=7]", "streaming-llm:2+9"),
    ("k-center:20[window=7]", "streaming-llm:2+9"), ("quest:32[dense-layers=1]", "streaming-llm:2+9"),
    ("quest:32[dense-layers=0]", "snapkv:20[window=7]"), ("sinks:2,window:9,clusters:12", "streaming-llm:2+9"),
    ("sinks:2,window:9,clusters:12[kind=paper,t=2,s=5,seed=4]", "streaming-llm:2+9"),
    ("sinks:2,window:9,uniform:8[seed=3]", "sinks:2,window:9,clusters:12"),
  ]

  private func plan(_ first: String, _ others: String, share: Double = 0.5) throws -> KVCache.Plan {
    let text = Self.needs.map { $0.map { "\($0)" }.joined(separator: "\t") }.joined(separator: "\n")
    return KVCache.Plan(
      stages: try KVCache.Plan(first).stages,
      division: HeadDivision(
        description: "\(first)|\(others)", mask: try HeadMask(text: text, name: "mask.tsv"), share: share,
        others: try KVCache.Plan(others).stages))
  }

  private func makeCache(_ plan: KVCache.Plan, _ type: KVCache.SlotType = .float16) throws -> KVCache {
    try KVCache(plan: plan, shape: Self.shape, slotType: type, positions: Self.positions)
  }

  /// Outputs of all tokens, the prompt's end among them.
  private func runAll(_ cache: KVCache, _ chunking: Chunking, threads: Int) throws -> [[Float]] {
    let prompt = try run(cache, 0..<51, chunking, threads: threads)
    cache.finishPrompt(team: try WorkerTeam(threads: threads), kernels: .current)
    return zip(prompt, try run(cache, 51..<80, chunking, threads: threads)).map { $0 + $1 }
  }

  private func run(
    _ cache: KVCache, _ tokens: Range<Int>, _ chunking: Chunking, threads: Int = 1
  ) throws -> [[Float]] {
    let attention = LocalAttention(
      shape: Self.shape, team: try WorkerTeam(threads: threads), kernels: InstructionSet.current)
    return attention.run(cache, Self.sequence, tokens: tokens, chunking: chunking)
  }

  @Test("each head answers as in a cache in which all heads follow its stages, bit for bit", arguments: pairs)
  func everyHead(first: String, others: String) throws {
    for threads in [1, 3] {
      // The first chunk fills the smallest cache: all caches must cut chunks alike.
      for chunking in [Chunking.ones, .sizes([7]), .sizes([11, 40, 1])] {
        let outputs = try runAll(try makeCache(try plan(first, others)), chunking, threads: threads)
        let alone = try [first, others].map {
          try runAll(try makeCache(try KVCache.Plan($0)), chunking, threads: threads)
        }
        let width = Self.shape.groupSize * Self.shape.headDim
        for layer in 0..<3 {
          for piece in 0..<80 * 2 {
            let expected = alone[Self.full.contains(layer * 2 + piece % 2) ? 0 : 1][layer]
            let range = piece * width..<(piece + 1) * width
            #expect(
              outputs[layer][range].elementsEqual(expected[range]),
              "\(first) and \(others), \(threads) threads, \(chunking), layer \(layer), token \(piece / 2)")
          }
        }
      }
    }
  }

  @Test("bytes are those of the parts, before and after", arguments: pairs, KVCache.SlotType.allCases)
  func bytes(pair: (String, String), type: KVCache.SlotType) throws {
    let plan = try plan(pair.0, pair.1)
    let cache = try makeCache(plan, type)
    for tokens in [1, 20, 79] {
      cache.reset()
      _ = try run(cache, 0..<tokens, .sizes([9]))
      let half = try [pair.0, pair.1].reduce(0) {
        $0 + KVCache.bytes(plan: try KVCache.Plan($1), shape: Self.shape, slotType: type, tokens: tokens) / 2
      }
      #expect(cache.bytes == half)
      #expect(KVCache.bytes(plan: plan, shape: Self.shape, slotType: type, tokens: tokens) == half)
    }
    let stages = try KVCache.stages(
      of: plan, layers: Self.shape.layers(positions: .none), slotType: type, tokens: 80)
    #expect(stages.allSatisfy { $0.heads == 3 })
  }

  @Test("save and restore, and reset", arguments: pairs)
  func snapshots(first: String, others: String) throws {
    let plan = try plan(first, others)
    for saved in [1, 13, 50] {
      let cache = try makeCache(plan)
      _ = try run(cache, 0..<saved, .sizes([7]))
      let snapshot = cache.snapshot()
      let taken = try makeCache(plan)
      _ = try run(taken, 0..<30, .ones)
      try taken.restore(snapshot)
      #expect(taken.snapshot() == snapshot)
      #expect(try run(taken, saved..<80, .sizes([1, 6])) == run(cache, saved..<80, .sizes([1, 6])))
      taken.reset()
      #expect(taken.snapshot() == (try makeCache(plan).snapshot()))
      for cut in stride(from: 0, to: snapshot.count, by: 97) {
        #expect(throws: KVCacheError.self) { try cache.restore(Array(snapshot[..<cut])) }
      }
      let other = try self.plan(first, others, share: 4.0 / 6)
      #expect(throws: KVCacheError.self) { try makeCache(other).restore(snapshot) }
    }
  }

  @Test("each head says which tokens it holds")
  func recordedTokens() throws {
    let cache = try makeCache(try plan("full", "streaming-llm:2+9"))
    cache.recordTokens()
    _ = try run(cache, 0..<80, .sizes([7]))
    for layer in 0..<3 {
      for head in 0..<2 {
        let expected = Self.full.contains(layer * 2 + head) ? Array(0..<80) : [0, 1] + Array(71..<80)
        #expect(cache.heldTokens(layer: layer, head: head) == expected)
      }
    }
    #expect(cache.heldTokens == 80)
  }

  @Test("the heads with the highest numbers keep everything, of equal ones the earlier")
  func shares() throws {
    let mask = try HeadMask(text: "1 0.5 0.5\n\n0.5,0.25\t-3e0\n", name: "m")
    #expect(mask.needs == [[1, 0.5, 0.5], [0.5, 0.25, -3]])
    let expected: [(Double, [Int])] = [
      (0, [0, 1, 2, 3, 4, 5]), (0.5, [0, 1, 2]), (1.0 / 3, [0, 1, 2, 3]), (0.74, [0, 1]), (1, []),
    ]
    for (share, full) in expected {
      let heads = mask.heads(sparing: share)
      #expect(heads.full == full)
      #expect((heads.full + heads.others).sorted() == Array(0..<6))
    }
  }

  @Test("texts that are no tables of heads are refused with a reason that quotes nothing of them")
  func badTables() throws {
    for (text, reason) in [
      ("", "holds no numbers"), ("\n \n", "holds no numbers"), ("0.5 secret", "line 1, head 2: no finite number"),
      ("1 1\n1", "line 2 has 1 heads, the ones before it have 2"), ("nan", "line 1, head 1: no finite number"),
      ("1\n2\n1e999", "line 3, head 1: no finite number"),
    ] {
      let error = #expect(throws: KVCacheError.self) { try HeadMask(text: text, name: "m") }
      #expect(error?.description == "cache 'm': \(reason)")
    }
  }

  /// The authors' streaming heads know where they are in the stream; ours in the cache, unless that is asked for.
  @Test(
    "at token 500 a streaming head reads the first sink from 10 places away, or from 500",
    arguments: [("", 10), (",positions=in-cache", 10), (",positions=original", 500)] as [(String, Int64)])
  func sinkDistance(option: String, expected: Int64) throws {
    let mask = try HeadMask(text: "1 0\n0 1\n0 0\n", name: "m")
    let resolver = PlanResolver { _ throws(KVCacheError) in mask }
    let cache = try makeCache(try KVCache.Plan("duo-attention:2+9[heads=m\(option)]", resolver: resolver))
    for _ in 0...500 { cache.beginStep(tokens: 1) }
    let ledger = cache.groups[1].ledger
    let reading = try #require(ledger.step.readings.first { $0.stage == 0 })
    #expect(ledger.step.clocks[reading.clock].position(0) - ledger.stages[0].clock(ofSlot: 0) == expected)
    // The window is as near either way.
    let window = try #require(ledger.step.readings.first { $0.stage == 1 })
    let clocks = window.slots.map { ledger.stages[1].clock(ofSlot: $0 - ledger.step.places[1].offset) }
    #expect(clocks.allSatisfy { (1...9).contains(ledger.step.clocks[window.clock].position(0) - $0) })
  }

  @Test("a mask divides the heads of the model that it is for, and of no other")
  func duoAttention() throws {
    let mask = try HeadMask(text: "1 0\n0 1\n0 0\n", name: "m")
    let resolver = PlanResolver { name throws(KVCacheError) in
      if name == "m" { mask } else { throw .badSpecification("heads=\(name)", "is not known") }
    }
    let plan = try KVCache.Plan("duo-attention:2+9[heads=m,sparsity=0.5]", resolver: resolver)
    #expect(try makeCache(plan).groups.count == 2)
    #expect(plan.description == "duo-attention:2+9[heads=m,sparsity=0.5]")
    for specification in [
      "duo-attention:2+9", "duo-attention:2[heads=m]", "duo-attention[heads=m,sparsity=2]", "duo-attention[heads=x]",
    ] {
      #expect(throws: KVCacheError.self) { try KVCache.Plan(specification, resolver: resolver) }
    }
    for sparsity in [0, 1] {
      let alike = try KVCache.Plan("duo-attention[heads=m,sparsity=\(sparsity)]", resolver: resolver)
      #expect(throws: KVCacheError.self) { try makeCache(alike) }
    }
    let other = KVCache.Shape(layers: 2, queryHeads: 6, keyValueHeads: 2, headDim: 32)
    #expect(KVCache.bytes(plan: plan, shape: other, slotType: .float16, tokens: 5) == 0)
    #expect(throws: KVCacheError.self) { try KVCache(plan: plan, shape: other, positions: Self.positions) }
  }
}
