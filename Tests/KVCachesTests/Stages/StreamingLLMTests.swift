import CacheTestSupport
import Foundation
import KVCaches
import Kernels
import TestSupport
import Testing

/// What a cache of sinks and windows must do to be StreamingLLM (arXiv 2309.17453), test by test.
///
/// T3, T5 and T6 are in `StageLedgerTests`: they concern counters alone. T4 and T7 are in `BruteForceTests`.
@Suite("StreamingLLM")
struct StreamingLLMTests {
  static let shape = KVCache.Shape(layers: 2, queryHeads: 4, keyValueHeads: 2, headDim: 16)
  static let positions = PositionEncoding.rotary(RotaryEmbedding(dim: 16, base: 10_000, layout: .halves))
  static let sequence = TokenSequence(shape: shape, positions: positions, count: 80, seed: 23)

  let team: WorkerTeam
  let attention: LocalAttention

  init() throws {
    team = try WorkerTeam(threads: 1)
    attention = LocalAttention(shape: Self.shape, team: team, kernels: InstructionSet.current)
  }

  private func makeCache(
    _ plan: String, slotType: KVCache.SlotType = .float32, positions: PositionEncoding = Self.positions
  ) throws -> KVCache {
    try KVCache(plan: KVCache.Plan(plan), shape: Self.shape, slotType: slotType, positions: positions)
  }

  private func run(
    _ plan: String, _ chunking: Chunking = .ones, tokens: Int = 80, slotType: KVCache.SlotType = .float32
  ) throws -> [[Float]] {
    attention.run(try makeCache(plan, slotType: slotType), Self.sequence, tokens: 0..<tokens, chunking: chunking)
  }

  /// Outputs of all tokens of a sequence with learned sink logits.
  private func run(_ plan: String, _ sequence: TokenSequence, _ chunking: Chunking) throws -> [[Float]] {
    let attention = LocalAttention(layers: sequence.layers, team: team, kernels: InstructionSet.current)
    let cache = try KVCache(plan: KVCache.Plan(plan), layers: sequence.layers, slotType: .float32)
    return attention.run(cache, sequence, tokens: 0..<sequence.count, chunking: chunking)
  }

  @Test("T1: a stream within the capacity is dense attention, bit for bit", arguments: [1, 2])
  func withinCapacityIsDense(threads: Int) throws {
    let attention = LocalAttention(
      shape: Self.shape, team: try WorkerTeam(threads: threads), kernels: InstructionSet.current)
    let sequence = TokenSequence(shape: Self.shape, positions: Self.positions, count: 150, seed: 24)
    for slotType in [KVCache.SlotType.float32, .float16] {
      for chunking in [Chunking.ones, .sizes([7]), .whole] {
        let outputs = { (plan: String) in
          attention.run(
            try makeCache(plan, slotType: slotType), sequence, tokens: 0..<150, chunking: chunking)
        }
        let dense = try outputs("full")
        for plan in ["window:150", "streaming-llm:4+146", "streaming-llm:70+90"] {
          #expect(try outputs(plan) == dense, "\(plan) \(slotType) \(chunking)")
        }
        // Tokens that fell from one window into the next lie in another order, so that sums round otherwise.
        let (error, place) = Self.shape.largestError(try outputs("sinks:1,window:20,window:129"), dense)
        #expect(error <= 2e-6, "two windows, \(slotType) \(chunking): \(place)")
      }
    }
  }

  @Test("T2: without sinks it equals dense attention over a fresh cache of the last tokens")
  func withoutSinksIsWindow() throws {
    let window = 13
    let outputs = try run("streaming-llm:0+\(window)", .sizes([5]))
    let width = Self.shape.queryHeads * Self.shape.headDim
    for token in stride(from: 0, to: 80, by: 7) {
      let first = max(0, token + 1 - window)
      let fresh = attention.run(
        try makeCache("full"), Self.sequence, tokens: first..<token + 1, chunking: .whole)
      for layer in 0..<Self.shape.layers {
        let output = Array(outputs[layer][token * width..<(token + 1) * width])
        #expect(relativeError(output, Array(fresh[layer].suffix(width))) <= 1e-5, "token \(token)")
      }
    }
  }

  @Test("T4: engine outputs equal brute force at random times, for one and for many tokens")
  func equalsBruteForceAtRandomTimes() throws {
    let reference = ReferenceAttention(Self.sequence, plan: try KVCache.Plan("streaming-llm:4+13"))
    let width = Self.shape.queryHeads * Self.shape.headDim
    var random = SplitMix64(seed: 12)
    let single = try run("streaming-llm:4+13")
    let chunked = try run("streaming-llm:4+13", .random(largest: 12, seed: 12))
    for _ in 0..<20 {
      let token = Int.random(in: 0..<80, using: &random)
      for layer in 0..<Self.shape.layers {
        let expected = reference.output(layer: layer, token: token)
        for outputs in [single, chunked] {
          let output = Array(outputs[layer][token * width..<(token + 1) * width])
          #expect(relativeError(output, expected) <= 1e-5, "token \(token)")
        }
      }
    }
  }

  @Test("T8: the loss of a stream read in chunks equals that of one read token by token")
  func lossOfChunks() throws {
    let plan = "streaming-llm:3+17"
    let expected = negativeLogLikelihood(try run(plan))
    for chunking in [Chunking.sizes([3]), .sizes([20]), .random(largest: 50, seed: 6), .whole] {
      let loss = negativeLogLikelihood(try run(plan, chunking))
      #expect(abs(loss - expected) <= 1e-6 * expected, "\(chunking)")
    }
  }

  /// Mean loss of random next tokens under a random linear read-out of the last layer's outputs.
  private func negativeLogLikelihood(_ outputs: [[Float]]) -> Double {
    var random = SplitMix64(seed: 99)
    let (width, vocabulary) = (Self.shape.queryHeads * Self.shape.headDim, 11)
    let readOut = random.normals(width * vocabulary)
    let last = outputs[Self.shape.layers - 1]
    var sum = 0.0
    for token in 0..<last.count / width {
      let logits = (0..<vocabulary).map { id in
        (0..<width).reduce(0.0) { $0 + Double(last[token * width + $1] * readOut[id * width + $1]) }
      }
      sum += log(logits.reduce(0) { $0 + exp($1) }) - logits[Int.random(in: 0..<vocabulary, using: &random)]
    }
    return sum / Double(last.count / width)
  }

  @Test(
    "T9: a stream whose positions start at 2^22, or far beyond, has the same outputs",
    arguments: [
      "full", "window:9", "streaming-llm:3+8", "sinks:2,window:4,window:5", "cascading:20/4[eager=off]",
      "cascading:17/4[sinks=1,eager=off]", "cascading:20/4[eager=off,select=off]", "h2o:16[positions=clipped]",
      "tova:12[positions=clipped]", "sinks:3,window:7,pages:32[dense-layers=0]", "segment:9",
      "sinks:2,window:7,clusters:9", "sinks:1,window:6,uniform:8",
    ], [1 << 22, 1 << 30, 1 << 33])
  func longPositions(plan: String, shift: Int64) throws {
    for positions in [Self.positions, .linearBias(slopes: [0.5, 0.25, 0.125, 1])] {
      for chunking in [Chunking.ones, .sizes([6])] {
        let near = try makeCache(plan, positions: positions)
        let far = try makeCache(plan, positions: positions)
        try far.restore(SnapshotForge(far.snapshot()).with(tokenCount: shift))
        #expect(far.tokenCount == shift)
        let expected = attention.run(near, Self.sequence, tokens: 0..<60, chunking: chunking)
        let outputs = attention.run(far, Self.sequence, tokens: 0..<60, chunking: chunking)
        let (error, place) = Self.shape.largestError(outputs, expected)
        // A turn by 2^33 radians is known to 1e-6 of one.
        #expect(error <= (shift > 1 << 32 ? 4e-5 : 1e-5), "\(plan), \(chunking): \(place)")
      }
    }
  }

  @Test("T10: a sink logit of minus infinity is vanilla, of zero an explicit zero key and value")
  func sinkLogits() throws {
    for plan in ["full", "streaming-llm:3+9"] {
      for chunking in [Chunking.ones, .sizes([7])] {
        var sequence = Self.sequence
        sequence.sinkLogits = [[Float]](repeating: [Float](repeating: -.infinity, count: 4), count: 2)
        let vanilla = try run(plan, sequence, chunking)
        #expect(vanilla == (try run(plan, chunking)))
      }
    }
    // Without positions a zero key has the logit 0 from anywhere.
    var sequence = TokenSequence(shape: Self.shape, positions: .none, count: 40, seed: 2)
    let explicit = sequence.prependingZeros()
    sequence.sinkLogits = [[Float]](repeating: [Float](repeating: 0, count: 4), count: 2)
    for (plan, explicitPlan) in [("full", "full"), ("window:9", "streaming-llm:1+9")] {
      let logits = try run(plan, sequence, .sizes([5]))
      let keys = attention.run(
        try makeCache(explicitPlan, positions: .none), explicit, tokens: 0..<41, chunking: .sizes([5]))
      let width = Self.shape.queryHeads * Self.shape.headDim
      let (error, place) = Self.shape.largestError(logits, keys.map { Array($0.dropFirst(width)) })
      #expect(error <= 1e-5, "\(plan): \(place)")
    }
  }
}
