import KVCaches
import Kernels
import ModelJSON
import Testing
import Weights

@testable import Models

/// Conventions of stretched rotations that would go wrong in silence.
struct RotaryScalingTests {
  private func yarn(truncates: Bool) -> [Double] {
    RotaryScaling.YaRN(
      factor: 32, originalLength: 4096, fastTurns: 32, slowTurns: 1, truncates: truncates, base: 150_000, magnitude: 1
    ).apply(to: RotaryEmbedding.frequencies(dim: 64, base: 150_000))
  }

  /// The ramp of gpt-oss runs over pairs 8.093 to 17.398 of 32; ends at whole pairs would be 8 and 18.
  @Test(arguments: [(false, 8.0928, 17.3980), (true, 8, 18)])
  func `the ramp of YaRN ends at whole pairs only where it is told to`(truncates: Bool, low: Double, high: Double) {
    let plain = RotaryEmbedding.frequencies(dim: 64, base: 150_000)
    for (pair, frequency) in yarn(truncates: truncates).enumerated() {
      let ramp = min(max((Double(pair) - low) / (high - low), 0), 1)
      let expected = plain[pair] / 32 * ramp + plain[pair] * (1 - ramp)
      #expect(abs(frequency / expected - 1) < 1e-3, "pair \(pair)")
    }
    #expect(yarn(truncates: true)[12] / yarn(truncates: false)[12] > 1.02)
  }

  /// The model's usual rotations hold for 32 positions.
  @Test(arguments: [
    ("window:32", false), ("window:33", true), ("streaming-llm:2+30", false), ("streaming-llm:2+31", true),
    ("full", true),
    ("h2o:16", true), ("h2o:16[positions=clipped]", false), ("snapkv:20[window=7]", true), ("cascading:32/2", false),
    ("cascading:33/2", true),
  ])
  func `a memory chooses its list of LongRoPE once, by how far apart its tokens stand`(plan: String, isLong: Bool)
    throws
  {
    for model in ["phi3", "phi3.gguf", "phi3-partial"] {
      let runner = try ModelRunner(Golden.path(model))
      let layer = runner.model.configuration.layers[0]
      let long = try #require(layer.longPositions)
      #expect(long.limit == 32 && long.positions != layer.positions)
      let cache = try runner.makeCache(KVCache.Plan(plan))
      #expect(cache.attention.allSatisfy { $0.positions == (isLong ? long.positions : layer.positions) }, "\(model)")
    }
  }

  /// A file of one family read as one of another whose queries and keys lie in the other order.
  @Test func `rotary pairs side by side and half a head apart are different models`() throws {
    let ids = try GoldenLogitsTests.golden(of: "qwen2.gguf")["ids"]!.tokens
    let metadata = try ModelMetadata(WeightFile.open(Golden.path("qwen2.gguf")))
    let right = try Qwen2(metadata).configuration.layers[0].positions
    guard case .rotary(let rotary) = right else { return #expect(Bool(false), "a Qwen turns") }
    #expect(rotary.layout == .halves)
    let runner = try ModelRunner(Golden.path("qwen2.gguf"))
    var layers = runner.model.configuration.layers
    for index in layers.indices {
      layers[index].positions = .rotary(RotaryEmbedding(frequencies: rotary.frequencies, layout: .interleaved))
    }
    let expected = runner.logits(ids, memory: try runner.makeReference())
    let swapped = runner.logits(ids, memory: ReferenceAttention(layers))
    #expect(zip(expected.dropFirst(), swapped.dropFirst()).contains { zip($0, $1).contains { abs($0 - $1) > 0.1 } })
  }
}
