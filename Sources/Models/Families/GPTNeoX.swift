import KVCaches
import Kernels

/// GPT-NeoX and Pythia.
///
/// Per layer: attention and feed-forward side by side, each behind a LayerNorm of the same residual stream (older models
/// may have them one after the other), a rotary embedding of some of a head's dimensions, GELU, biases everywhere.
struct GPTNeoX: ModelFamily {
  static let ggufName = "gptneox"
  static let names = TensorNames(
    model: ["token_embd": "gpt_neox.embed_in", "output_norm": "gpt_neox.final_layer_norm", "output": "embed_out"],
    layers: "gpt_neox.layers",
    layer: [
      "attn_norm": "input_layernorm", "attn_qkv": "attention.query_key_value", "attn_output": "attention.dense",
      "ffn_norm": "post_attention_layernorm", "ffn_up": "mlp.dense_h_to_4h", "ffn_down": "mlp.dense_4h_to_h",
    ],
    fused: [.init(stem: "attn_qkv", parts: ["attn_q", "attn_k", "attn_v"], order: .headByHead)])

  let configuration: ModelConfiguration
  let norm: Norm
  let tiesOutput: Bool
  private let sizes: ModelSizes
  private let activation: Activation
  private let isParallel: Bool

  private typealias Key = ModelMetadata.Key

  init(_ metadata: ModelMetadata) throws {
    sizes = try metadata.sizes()
    norm = try metadata.layerNorm()
    activation = try metadata.activation(default: .geluErf)
    isParallel =
      try metadata.bool(ifPresent: Key("use_parallel_residual", huggingFace: "use_parallel_residual")) ?? true
    tiesOutput = try metadata.bool(ifPresent: Key(huggingFace: "tie_word_embeddings")) ?? false
    var layer = sizes.layer()
    try metadata.rotaryPositions(sizes, layout: .halves, share: 0.25).apply(to: &layer)
    configuration = sizes.configuration(metadata.architecture, layers: Array(repeating: layer, count: sizes.layers))
  }

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    let attended = graph.selfAttention(graph.norm(x, "attn_norm"), configuration.layers[index])
    let y = isParallel ? x : graph.sum(x, attended)
    let fed = graph.feedForward(graph.norm(y, "ffn_norm"), activation, rows: sizes.feedForward)
    return isParallel ? graph.sum(graph.sum(x, fed), attended) : graph.sum(y, fed)
  }
}
