import KVCaches
import Kernels

/// Phi-1, 1.5 and 2.
///
/// Per layer: attention and a feed-forward with GELU side by side, behind one LayerNorm; a part of a head turns; biases
/// everywhere, the output matrix included.
struct Phi2: ModelFamily {
  static let ggufName = "phi2"
  static let names = TensorNames.usual.adding(
    ["attn_output": "self_attn.dense", "ffn_up": "mlp.fc1", "ffn_down": "mlp.fc2"],
    model: ["output_norm": "model.final_layernorm"])

  let configuration: ModelConfiguration
  let norm: Norm
  let tiesOutput: Bool
  private let sizes: ModelSizes

  private typealias Key = ModelMetadata.Key

  init(_ metadata: ModelMetadata) throws {
    sizes = try metadata.sizes()
    try metadata.require(.geluTanh, "GELU by the hyperbolic tangent")
    if try metadata.bool(ifPresent: Key(huggingFace: "qk_layernorm")) ?? false {
      throw metadata.unsupported("a Phi whose heads have norms of their own is not supported")
    }
    norm = try metadata.layerNorm()
    tiesOutput = try metadata.tiesOutput()
    var layer = sizes.layer()
    try metadata.rotaryPositions(sizes, layout: .halves, share: 0.5).apply(to: &layer)
    configuration = sizes.configuration(metadata.architecture, layers: Array(repeating: layer, count: sizes.layers))
  }

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    let normed = graph.norm(x, "attn_norm")
    let attended = graph.selfAttention(normed, configuration.layers[index])
    return graph.sum(graph.sum(x, graph.feedForward(normed, .geluTanh, rows: sizes.feedForward)), attended)
  }
}
