import CacheTestSupport
import KVCaches
import Kernels
import Testing

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
