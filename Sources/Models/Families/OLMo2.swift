import KVCaches
import Kernels

/// OLMo 2 and 3.
///
/// A Llama that normalises what its branches add and not what they read, and queries and keys over all heads together; in
/// OLMo 3 most layers see a window of the text.
struct OLMo2: ModelFamily {
  static let ggufName = "olmo2"
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
    var global = sizes.layer()
    try metadata.rotaryPositions(sizes, layout: .halves).apply(to: &global)
    var local = sizes.layer()
    local.window = try metadata.window()
    // Only layers that see everything are stretched.
    try metadata.rotaryPositions(
      dim: sizes.headDim, headDim: sizes.headDim,
      base: metadata.double(
        .init(
          "rope.freq_base", huggingFace: "rope_parameters.sliding_attention.rope_theta", "rope_parameters.rope_theta",
          "rope_theta"), default: 10_000),
      scaling: .none, layout: .halves
    ).apply(to: &local)
    let isLocal = try metadata.windowedLayers(count: sizes.layers, standardPeriod: 4)
    configuration = sizes.configuration(metadata.architecture, layers: isLocal.map { $0 ? local : global })
  }

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    let (queries, keys, values) = graph.queriesKeysValues(x, configuration.layers[index])
    let attended = graph.attention(graph.norm(queries, "attn_q_norm"), graph.norm(keys, "attn_k_norm"), values)
    let mixed = graph.linear(attended, "attn_output", rows: sizes.hidden)
    let y = graph.sum(x, graph.norm(mixed, "post_attention_norm"))
    return graph.sum(y, graph.norm(graph.gatedFeedForward(y, .silu, rows: sizes.feedForward), "post_ffw_norm"))
  }
}
