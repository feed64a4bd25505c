import KVCaches
import Kernels

/// Llama 1 to 3, TinyLlama, SmolLM, Mistral, and Mixtral with its experts.
///
/// Per layer: RMSNorm, grouped-query attention with rotary positions, RMSNorm, a SiLU-gated feed-forward, which in a Mixtral
/// is a choice of two among experts; the output matrix may be the embedding (tied).
struct Llama: ModelFamily {
  static let ggufName = "llama"
  static let interleavesInGGUF = true
  static let names = TensorNames.usual.adding(
    ["ffn_gate_inp": "block_sparse_moe.gate"],
    experts: .apart("block_sparse_moe.experts", gate: "w1", up: "w3", down: "w2"))

  let configuration: ModelConfiguration
  let norm: Norm
  let tiesOutput: Bool
  private let sizes: ModelSizes
  private let factors: [Float]?
  private let experts: Experts?

  private typealias Key = ModelMetadata.Key

  init(_ metadata: ModelMetadata) throws {
    sizes = try metadata.sizes()
    try metadata.require(.silu, "SiLU")
    norm = try metadata.rootMeanSquareNorm()
    tiesOutput = try metadata.tiesOutput()
    experts = try metadata.experts(sizes, inner: sizes.feedForward, .silu)
    let positions = try metadata.rotaryPositions(
      sizes, layout: metadata.isGGUF ? .interleaved : .halves, scalesQueries: true)
    var layer = sizes.layer()
    positions.apply(to: &layer)
    factors = positions.queryFactors(headDim: sizes.headDim)
    layer.window = try metadata.window()
    configuration = sizes.configuration(
      metadata.architecture, layers: Array(repeating: layer, count: sizes.layers), experts: experts)
  }

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    let attended = graph.selfAttention(graph.norm(x, "attn_norm"), configuration.layers[index], factors: factors)
    let y = graph.sum(x, attended)
    let normed = graph.norm(y, "ffn_norm")
    if let experts { return graph.sum(y, graph.routedExperts(normed, experts)) }
    return graph.sum(y, graph.gatedFeedForward(normed, .silu, rows: sizes.feedForward))
  }
}
