import KVCaches
import Kernels

/// GLM-4-0414 and Z1.
///
/// Per layer: attention with biases, of which half a head turns by pairs that stand side by side, then a SiLU-gated
/// feed-forward, each between two norms; gate and up are fused.
struct GLM4: ModelFamily {
  static let ggufName = "glm4"
  static let names = TensorNames.usual.adding(
    [
      "post_attention_norm": "post_self_attn_layernorm", "ffn_up": "mlp.gate_up_proj",
      "post_ffw_norm": "post_mlp_layernorm",
    ],
    fused: [.init(stem: "ffn_up", parts: ["ffn_gate", "ffn_up"])])

  let configuration: ModelConfiguration
  let norm: Norm
  let tiesOutput: Bool
  private let sizes: ModelSizes

  init(_ metadata: ModelMetadata) throws {
    sizes = try metadata.sizes()
    try metadata.require(.silu, "SiLU")
    norm = try metadata.rootMeanSquareNorm(default: 1.5625e-7)
    tiesOutput = try metadata.tiesOutput()
    var layer = sizes.layer()
    try metadata.rotaryPositions(sizes, layout: .interleaved, share: 0.5).apply(to: &layer)
    configuration = sizes.configuration(metadata.architecture, layers: Array(repeating: layer, count: sizes.layers))
  }

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    let attended = graph.selfAttention(graph.norm(x, "attn_norm"), configuration.layers[index])
    let y = graph.sum(x, graph.norm(attended, "post_attention_norm"))
    let fed = graph.gatedFeedForward(graph.norm(y, "ffn_norm"), .silu, rows: sizes.feedForward)
    return graph.sum(y, graph.norm(fed, "post_ffw_norm"))
  }
}
