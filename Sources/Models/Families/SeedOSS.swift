import KVCaches
import Kernels

/// Seed-OSS.
///
/// A Llama with biases on queries, keys and values, whose GGUF files call the norm before the feed-forward one behind
/// attention.
struct SeedOSS: ModelFamily {
  static let ggufName = "seed_oss"
  static let names = TensorNames.usual.adding(["post_attention_norm": "post_attention_layernorm"])

  let configuration: ModelConfiguration
  let norm: Norm
  let tiesOutput: Bool
  private let sizes: ModelSizes
  private let factors: [Float]?

  init(_ metadata: ModelMetadata) throws {
    sizes = try metadata.sizes()
    try metadata.require(.silu, "SiLU")
    norm = try metadata.rootMeanSquareNorm()
    tiesOutput = try metadata.tiesOutput()
    let positions = try metadata.rotaryPositions(sizes, layout: .halves, scalesQueries: true)
    var layer = sizes.layer()
    positions.apply(to: &layer)
    factors = positions.queryFactors(headDim: sizes.headDim)
    configuration = sizes.configuration(metadata.architecture, layers: Array(repeating: layer, count: sizes.layers))
  }

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    let attended = graph.selfAttention(graph.norm(x, "attn_norm"), configuration.layers[index], factors: factors)
    let y = graph.sum(x, attended)
    return graph.sum(y, graph.gatedFeedForward(graph.norm(y, "post_attention_norm"), .silu, rows: sizes.feedForward))
  }
}
