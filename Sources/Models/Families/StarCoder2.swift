import KVCaches
import Kernels

/// StarCoder 2.
///
/// Per layer: LayerNorm, grouped-query attention with rotary positions, LayerNorm, a feed-forward with GELU; biases
/// everywhere. Where files name a window, every layer has it.
struct StarCoder2: ModelFamily {
  static let ggufName = "starcoder2"
  static let names = TensorNames.usual.adding(["ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj"])

  let configuration: ModelConfiguration
  let norm: Norm
  let tiesOutput: Bool
  private let sizes: ModelSizes
  private let activation: Activation

  init(_ metadata: ModelMetadata) throws {
    sizes = try metadata.sizes()
    activation = try metadata.activation(default: .geluTanh)
    norm = try metadata.layerNorm()
    tiesOutput = try metadata.tiesOutput(default: !metadata.isGGUF)
    var layer = sizes.layer()
    try metadata.rotaryPositions(sizes, layout: .halves).apply(to: &layer)
    layer.window = try metadata.window()
    configuration = sizes.configuration(metadata.architecture, layers: Array(repeating: layer, count: sizes.layers))
  }

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    let y = graph.sum(x, graph.selfAttention(graph.norm(x, "attn_norm"), configuration.layers[index]))
    return graph.sum(y, graph.feedForward(graph.norm(y, "ffn_norm"), activation, rows: sizes.feedForward))
  }
}
