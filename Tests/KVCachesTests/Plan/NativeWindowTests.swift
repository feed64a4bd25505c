import CacheTestSupport
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// Layers with a window of their own, which a plan does not rule.
@Suite("Layers with a native window")
struct NativeWindowTests {
  static let shape = KVCache.Shape(layers: 4, queryHeads: 6, keyValueHeads: 2, headDim: 32)
  /// Windowed layers have other frequencies, as in Gemma 3; keys and values are the same numbers.
  static let (wide, near) = (sequence(base: 10_000), sequence(base: 500))
  static let window = 8
  static let count = 90
  /// The layers with a window.
  static let windowed: Set<Int> = [0, 2]

  static let plans = [
    "full", "snapkv:20[window=7]", "k-center:20[window=7]", "h2o:16", "h2o:16[positions=clipped]", "cascading:28/3",
    "quest:32[dense-layers=0]", "quest:32[dense-layers=2]", "subgen:64[window=30]",
    "sinks:2,window:6,clusters:12[kind=paper,t=2,s=5,seed=4]", "sinks:1,window:6,uniform:8[seed=3]",
    "prompt:20[choose=random,window=7]",
  ]

  private static func sequence(base: Double) -> TokenSequence {
    TokenSequence(
      shape: shape, positions: .rotary(RotaryEmbedding(dim: 32, base: base, layout: .halves)), count: count, seed: 37)
  }

  static var layers: [AttentionLayer] {
    (0..<shape.layers).map { layer in
      var attention = (windowed.contains(layer) ? near : wide).layers[layer]
      if windowed.contains(layer) { attention.window = window }
      return attention
    }
  }

  /// Each layer's sequence.
  static var sequences: [TokenSequence] { (0..<shape.layers).map { windowed.contains($0) ? near : wide } }

  private func attention(_ layers: [AttentionLayer] = layers, threads: Int) throws -> LocalAttention {
    LocalAttention(layers: layers, team: try WorkerTeam(threads: threads), kernels: InstructionSet.current)
  }

  private func run(
    _ cache: KVCache, _ attention: LocalAttention, _ sequences: [TokenSequence], _ chunking: Chunking
  ) -> [[Float]] {
    let prompt = attention.run(cache, sequences, tokens: 0..<60, chunking: chunking)
    attention.endPrompt(of: cache)
    let answer = attention.run(cache, sequences, tokens: 60..<Self.count, chunking: .sizes([1, 1, 5, 1]))
    return zip(prompt, answer).map { $0 + $1 }
  }

  @Test("every layer answers as in a cache of its own kind alone, bit for bit", arguments: plans)
  func everyLayer(plan: String) throws {
    for threads in [1, 3] {
      let mixed = try attention(threads: threads)
      for chunking in [Chunking.ones, .sizes([7]), .sizes([11, 40, 1])] {
        let cache = try KVCache(plan: KVCache.Plan(plan), layers: Self.layers, slotType: .float16)
        let outputs = run(cache, mixed, Self.sequences, chunking)
        let alone = try [(plan, Self.wide), ("window:\(Self.window)", Self.near)].map { plan, sequence in
          let cache = try KVCache(plan: KVCache.Plan(plan), layers: sequence.layers, slotType: .float16)
          let sequences = [TokenSequence](repeating: sequence, count: Self.shape.layers)
          return run(cache, try attention(sequence.layers, threads: threads), sequences, chunking)
        }
        for layer in 0..<Self.shape.layers {
          let agrees = outputs[layer] == alone[Self.windowed.contains(layer) ? 1 : 0][layer]
          #expect(agrees, "\(plan), \(threads) threads, \(chunking), layer \(layer)")
        }
      }
    }
  }

  @Test("a windowed layer sees its last tokens and no others, in Float64", arguments: plans)
  func equalsBruteForce(plan: String) throws {
    let reference = ReferenceAttention(Self.near, plan: try KVCache.Plan("window:\(Self.window)")).outputs()
    let full = ReferenceAttention(Self.wide, plan: .full).outputs()
    for chunking in [Chunking.ones, .sizes([11, 40, 1]), .whole] {
      let cache = try KVCache(plan: KVCache.Plan(plan), layers: Self.layers, slotType: .float32)
      let outputs = run(cache, try attention(threads: 2), Self.sequences, chunking)
      let expected = (0..<Self.shape.layers).map { layer in
        Self.windowed.contains(layer) ? reference[layer] : plan == "full" ? full[layer] : outputs[layer]
      }
      let (error, place) = Self.shape.largestError(outputs, expected)
      #expect(error <= 1e-5, "\(plan), \(chunking): \(place)")
    }
  }

  @Test("bytes are known, and those of windows do not grow", arguments: plans, KVCache.SlotType.allCases)
  func bytes(plan: String, slotType: KVCache.SlotType) throws {
    let attention = try attention(threads: 1)
    let plan = try KVCache.Plan(plan)
    let cache = try KVCache(plan: plan, layers: Self.layers, slotType: slotType)
    _ = attention.run(cache, Self.sequences, tokens: 0..<Self.count, chunking: .sizes([13])) { seen in
      let bytes = KVCache.bytes(plan: plan, layers: Self.layers, slotType: slotType, tokens: seen)
      #expect(cache.bytes == bytes, "\(plan) after \(seen)")
    }
    let window = KVCache.bytes(
      plan: KVCache.Plan { Window(Self.window) }, shape: Self.shape.oneLayer, slotType: slotType, tokens: Self.count)
    #expect(try #require(cache.groups.last).bytes == Self.windowed.count * window)
  }

  @Test("save and restore, take back and reset", arguments: plans)
  func snapshots(plan: String) throws {
    let attention = try attention(threads: 1)
    let plan = try KVCache.Plan(plan)
    let make = { try KVCache(plan: plan, layers: Self.layers, slotType: .float16) }
    let cache = try make()
    let canBeUndone = cache.groups.allSatisfy { $0.states.allSatisfy { $0.rollBackProblem == nil } }
    if canBeUndone { try cache.keepUndoLog(depth: 30) }
    _ = attention.run(cache, Self.sequences, tokens: 0..<50, chunking: .sizes([7]))
    let snapshot = cache.snapshot()
    _ = attention.run(cache, Self.sequences, tokens: 50..<70, chunking: .sizes([3, 1]))
    if canBeUndone {
      #expect(try cache.rollBack(tokens: 20) == 20)
    } else {
      try cache.restore(snapshot)
    }
    #expect(cache.snapshot() == snapshot)
    let taken = try make()
    try taken.restore(snapshot)
    #expect(
      attention.run(taken, Self.sequences, tokens: 50..<90, chunking: .sizes([1, 6]))
        == attention.run(cache, Self.sequences, tokens: 50..<90, chunking: .sizes([1, 6])))
    taken.reset()
    #expect(taken.snapshot() == (try make().snapshot()))
    // Without the windows, or with others, it is another cache.
    for window in [nil, Self.window + 1] {
      var layers = Self.layers
      for layer in Self.windowed { layers[layer].window = window }
      let other = try KVCache(plan: plan, layers: layers, slotType: .float16)
      #expect(throws: KVCacheError.self) { try other.restore(snapshot) }
    }
  }

  @Test("layers may differ in heads and head size too")
  func differentHeads() throws {
    let small = KVCache.Shape(layers: 4, queryHeads: 4, keyValueHeads: 4, headDim: 16)
    let positions = PositionEncoding.rotary(RotaryEmbedding(dim: 16, base: 500, layout: .halves))
    let local = TokenSequence(shape: small, positions: positions, count: Self.count, seed: 38)
    let sequences = (0..<4).map { Self.windowed.contains($0) ? local : Self.wide }
    let layers = (0..<4).map { layer in
      var attention = sequences[layer].layers[layer]
      if Self.windowed.contains(layer) { attention.window = Self.window }
      return attention
    }
    for plan in ["full", "snapkv:20[window=7]", "h2o:16", "quest:32[dense-layers=0]", "subgen:64[window=30]"] {
      for threads in [1, 3] {
        let cache = try KVCache(plan: KVCache.Plan(plan), layers: layers, slotType: .float16)
        let outputs = run(cache, try attention(layers, threads: threads), sequences, .sizes([9, 1]))
        for (plan, sequence, members) in [
          (plan, Self.wide, [1, 3]), ("window:\(Self.window)", local, [0, 2]),
        ] {
          let alone = try KVCache(plan: KVCache.Plan(plan), layers: sequence.layers, slotType: .float16)
          let expected = run(
            alone, try attention(sequence.layers, threads: threads), [TokenSequence](repeating: sequence, count: 4),
            .sizes([9, 1]))
          for layer in members {
            let agrees = outputs[layer] == expected[layer]
            #expect(agrees, "\(plan), layer \(layer)")
          }
        }
      }
    }
  }

  @Test("a model of nothing but windows has nothing for a plan to rule")
  func nothingButWindows() throws {
    var layers = Self.near.layers
    for layer in layers.indices { layers[layer].window = 8 }
    let error = #expect(throws: KVCacheError.self) { try KVCache(plan: .full, layers: layers) }
    #expect(error?.description == "cache 'tokens': no layer of this model is without a window of its own")
  }
}
