import KVCaches
import Kernels

/// EXAONE 4.
///
/// A Llama that normalises what its branches add and not what they read, and queries and keys head by head. In the large
/// model three of four layers see a window of the text, and those that see everything know no positions.
struct EXAONE4: ModelFamily {
  static let ggufName = "exaone4"
  static let names = TensorNames.usual.adding([
    "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
    "post_attention_norm": "post_attention_layernorm", "post_ffw_norm": "post_feedforward_layernorm",
  ])

  let configuration: ModelConfiguration
  let norm: Norm
  let tiesOutput: Bool
  private let sizes: ModelSizes

  init(_ metadata: ModelMetadata) throws {
    sizes = try metadata.sizes()
    try metadata.require(.silu, "SiLU")
    norm = try metadata.rootMeanSquareNorm(default: 1e-5)
    tiesOutput = try metadata.tiesOutput()
    let plain = sizes.layer()
    var rotated = plain
    try metadata.rotaryPositions(sizes, layout: .halves).apply(to: &rotated)
    guard let window = try metadata.window() else {
      configuration = sizes.configuration(metadata.architecture, layers: Array(repeating: rotated, count: sizes.layers))
      return
    }
    rotated.window = window
    let local = rotated
    let isLocal = try metadata.windowedLayers(count: sizes.layers, standardPeriod: 4)
    configuration = sizes.configuration(metadata.architecture, layers: isLocal.map { $0 ? local : plain })
  }

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    let attended = graph.selfAttention(x, configuration.layers[index], headNorms: true)
    let y = graph.sum(x, graph.norm(attended, "post_attention_norm"))
    return graph.sum(y, graph.norm(graph.gatedFeedForward(y, .silu, rows: sizes.feedForward), "post_ffw_norm"))
  }
}
