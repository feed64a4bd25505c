import KVCaches
import Kernels

/// Phi-3, 3.5 and 4, with their mini models.
///
/// A Llama whose files fuse queries, keys and values, and gate and up; of some only part of a head turns, stretched by
/// LongRoPE.
struct Phi3: ModelFamily {
  static let ggufName = "phi3"
  static let names = TensorNames.usual.adding(
    ["attn_qkv": "self_attn.qkv_proj", "ffn_up": "mlp.gate_up_proj"],
    fused: [.init(stem: "ffn_up", parts: ["ffn_gate", "ffn_up"])])

  let configuration: ModelConfiguration
  let norm: Norm
  let tiesOutput: Bool
  private let sizes: ModelSizes
  private let factors: [Float]?

  init(_ metadata: ModelMetadata) throws {
    sizes = try metadata.sizes()
    try metadata.require(.silu, "SiLU")
    norm = try metadata.rootMeanSquareNorm(default: 1e-5)
    tiesOutput = try metadata.tiesOutput()
    let positions = try metadata.rotaryPositions(sizes, layout: .halves, scalesQueries: true)
    var layer = sizes.layer()
    positions.apply(to: &layer)
    factors = positions.queryFactors(headDim: sizes.headDim)
    layer.window = try metadata.window()
    configuration = sizes.configuration(metadata.architecture, layers: Array(repeating: layer, count: sizes.layers))
  }

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    let attended = graph.selfAttention(graph.norm(x, "attn_norm"), configuration.layers[index], factors: factors)
    let y = graph.sum(x, attended)
    return graph.sum(y, graph.gatedFeedForward(graph.norm(y, "ffn_norm"), .silu, rows: sizes.feedForward))
  }
}
