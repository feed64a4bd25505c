import CacheTestSupport
import KVCaches
import Kernels
import TestSupport
import Testing

/// A model's attention and a plan, to drive a cache of it and compare every output with the brute-force reference.
struct CacheCase: Sendable, CustomStringConvertible {
  var plan: String
  var group = 1
  var keyValueHeads = 2
  var headDim = 16
  /// Rotated dimensions; nil for all.
  var rotaryDim: Int?
  var layout = RotaryLayout.halves
  /// ALiBi instead of rotation.
  var usesLinearBias = false
  var sinkLogits: [Float]?
  var tokens = 90

  var description: String {
    "\(plan), heads \(keyValueHeads)x\(group), dim \(rotaryDim ?? headDim)/\(headDim) \(layout), \(tokens) tokens"
      + (usesLinearBias ? ", ALiBi" : "") + (sinkLogits == nil ? "" : ", sink logits")
  }

  var shape: KVCache.Shape {
    KVCache.Shape(layers: 2, queryHeads: keyValueHeads * group, keyValueHeads: keyValueHeads, headDim: headDim)
  }

  var positions: PositionEncoding {
    usesLinearBias
      ? .linearBias(slopes: (1...shape.queryHeads).map { 1 / Float(1 + $0) })
      : .rotary(RotaryEmbedding(dim: rotaryDim ?? headDim, base: 10_000, layout: layout))
  }

  /// The largest difference to exact arithmetic, relative to the largest output of the token: rounding in the kernels
  /// for f32, rounding of stored keys and values for the others.
  static func tolerance(_ slotType: KVCache.SlotType) -> Float {
    switch slotType {
    case .float32: 1e-5
    case .float16: 3e-3
    case .bfloat16: 2.5e-2
    case .q8_0: 3e-2
    case .q8_0_q4_1: 1.5e-1
    }
  }

  /// Drives a random sequence through caches of the given slot types, cut in the given ways, by teams of the given
  /// sizes, and compares every output with the reference.
  func check(
    slotTypes: [KVCache.SlotType] = [.float32], threads: [Int] = [1], chunkings: [Chunking] = [.ones],
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let plan = try KVCache.Plan(plan)
    guard plan.slidesExactly,
      !usesLinearBias || plan.stages.allSatisfy({ $0.blueprint.distance != .original || $0 is Sinks })
    else {
      return
    }
    var sequence = TokenSequence(shape: shape, positions: positions, count: tokens, seed: UInt64(tokens + headDim))
    sequence.sinkLogits = sinkLogits.map { logits in (0..<shape.layers).map { _ in logits } }
    let expected = ReferenceAttention(sequence, plan: plan).outputs()
    for threads in threads {
      let attention = LocalAttention(
        layers: sequence.layers, team: try WorkerTeam(threads: threads), kernels: InstructionSet.current)
      for chunking in chunkings {
        for slotType in slotTypes {
          let cache = try KVCache(plan: plan, layers: sequence.layers, slotType: slotType)
          let outputs = attention.run(cache, sequence, tokens: 0..<tokens, chunking: chunking)
          let (error, place) = shape.largestError(outputs, expected)
          #expect(
            error <= Self.tolerance(slotType),
            "\(self), \(slotType.rawValue), \(threads) threads, \(chunking): \(place)",
            sourceLocation: sourceLocation)
        }
      }
    }
  }
}
