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
    }
  }

  /// Drives a random sequence through caches of the given slot types, cut in the given ways, by teams of the given
  /// sizes, and compares every output with the reference.
  func check(
    slotTypes: [KVCache.SlotType] = [.float32], threads: [Int] = [1], chunkings: [Chunking] = [.ones],
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let plan = try KVCache.Plan(plan)
    guard plan.slidesExactly, !usesLinearBias || plan.stages.allSatisfy({ $0.distance != .original }) else { return }
    var sequence = TokenSequence(shape: shape, positions: positions, count: tokens, seed: UInt64(tokens + headDim))
    sequence.sinkLogits = sinkLogits.map { logits in (0..<shape.layers).map { _ in logits } }
    let expected = ReferenceAttention(sequence, plan: plan).outputs()
    for threads in threads {
      let attention = LocalAttention(
        shape: shape, team: try WorkerTeam(threads: threads), kernels: InstructionSet.current)
      for chunking in chunkings {
        for slotType in slotTypes {
          let cache = try KVCache(plan: plan, shape: shape, slotType: slotType, positions: positions)
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

extension KVCache.Shape {
  /// The largest relative error of any token's output in any layer, and where it is.
  ///
  /// - Parameter outputs: `[layer][token, query head, headDim]`, as `expected`.
  func largestError(_ outputs: [[Float]], _ expected: [[Float]]) -> (error: Float, place: String) {
    let width = queryHeads * headDim
    var largest: (error: Float, place: String) = (0, "")
    for layer in 0..<layers {
      guard outputs[layer].count == expected[layer].count else { return (.infinity, "another number of tokens") }
      for token in 0..<outputs[layer].count / width {
        let range = token * width..<(token + 1) * width
        let error = relativeError(Array(outputs[layer][range]), Array(expected[layer][range]))
        if error > largest.error { largest = (error, "layer \(layer), token \(token)") }
      }
    }
    return largest
  }
}

@Suite("Attention through a cache equals brute force")
struct BruteForceTests {
  static let chunkings: [Chunking] = [
    .ones, .random(largest: 5, seed: 3), .random(largest: 60, seed: 4), .sizes([2, 80, 1]), .sizes([7]), .whole,
  ]

  @Test("every plan, cut into chunks in every way", arguments: StageMatrix.plans)
  func everyPlanAndChunking(plan: String) throws {
    try CacheCase(plan: plan).check(chunkings: Self.chunkings)
    try CacheCase(plan: plan, group: 3, layout: .interleaved).check(chunkings: Self.chunkings)
  }

  @Test("every plan in teams of threads", arguments: StageMatrix.plans)
  func everyPlanInTeams(plan: String) throws {
    try CacheCase(plan: plan, group: 3, tokens: 60)
      .check(threads: [2, 5], chunkings: [.ones, .random(largest: 60, seed: 4)])
  }

  @Test("every window and sink count, by tokens and by chunks", arguments: 1...20)
  func everySmallSize(window: Int) throws {
    for sinks in 0...5 {
      try CacheCase(plan: "streaming-llm:\(sinks)+\(window)", keyValueHeads: 1, headDim: 8, tokens: 2 * window + 12)
        .check(chunkings: [.ones, .random(largest: 2 * window + 2, seed: UInt64(window))])
    }
  }

  @Test("every slot type and group size", arguments: KVCache.SlotType.allCases, [1, 3, 8])
  func slotTypesAndGroups(slotType: KVCache.SlotType, group: Int) throws {
    for plan in ["full", "streaming-llm:4+20", "sinks:2,window:10,window:9"] {
      try CacheCase(plan: plan, group: group, headDim: 32, tokens: 70)
        .check(slotTypes: [slotType], chunkings: [.ones, .random(largest: 40, seed: 8)])
    }
  }

  @Test("every head size, whole and partial rotation, both layouts", arguments: [8, 16, 32, 64, 128])
  func headSizesAndRotations(headDim: Int) throws {
    for layout in [RotaryLayout.halves, .interleaved] {
      for rotaryDim in [headDim, headDim / 4, headDim - 2] {
        try CacheCase(
          plan: "streaming-llm:3+21", group: 2, keyValueHeads: 3, headDim: headDim, rotaryDim: rotaryDim,
          layout: layout, tokens: 60
        ).check(chunkings: [.ones, .random(largest: 30, seed: 11)])
      }
    }
  }

  /// T7 of the specification, with partial rotation above.
  @Test("ALiBi: distances inside the cache, a slope for each query head", arguments: StageMatrix.plans)
  func linearBias(plan: String) throws {
    try CacheCase(plan: plan, group: 2, usesLinearBias: true, tokens: 70)
      .check(slotTypes: [.float32, .bfloat16], chunkings: Self.chunkings)
    try CacheCase(plan: plan, group: 3, usesLinearBias: true, sinkLogits: [-1, 0, 2, 0.5, -.infinity, 1], tokens: 40)
      .check(threads: [2], chunkings: [.ones, .random(largest: 20, seed: 2)])
  }

  @Test("learned sink logits take part in the softmax", arguments: ["full", "streaming-llm:2+9"])
  func sinkLogits(plan: String) throws {
    try CacheCase(plan: plan, group: 3, sinkLogits: [-1, 0, 3, 0.5, -.infinity, 1], tokens: 40)
      .check(threads: [1, 5], chunkings: [.ones, .random(largest: 20, seed: 2)])
  }

  @Test("caches of more than one block and tile", arguments: ["full", "streaming-llm:4+1100"])
  func manyBlocks(plan: String) throws {
    try CacheCase(plan: plan, keyValueHeads: 1, headDim: 8, tokens: 1250)
      .check(threads: [2], chunkings: [.sizes([700, 300, 1])])
  }
}
