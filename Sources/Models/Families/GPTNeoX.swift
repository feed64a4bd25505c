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
    norm = Norm(
      kind: .layer,
      epsilon: try metadata.epsilon(
        Key("attention.layer_norm_epsilon", huggingFace: "layer_norm_eps"), default: 1e-5))
    activation = try metadata.activation(default: .geluErf)
    isParallel =
      try metadata.bool(ifPresent: Key("use_parallel_residual", huggingFace: "use_parallel_residual")) ?? true
    tiesOutput = try metadata.bool(ifPresent: Key(huggingFace: "tie_word_embeddings")) ?? false
    let share = try metadata.double(
      Key(huggingFace: "rope_parameters.partial_rotary_factor", "rotary_pct"), default: 0.25)
    guard share > 0, share <= 1 else { throw metadata.bad("rotary_pct", "must be above 0 and at most 1, not \(share)") }
    let dim = try metadata.integer(Key("rope.dimension_count"), default: Int(Double(sizes.headDim) * share))
    let positions = try metadata.rotaryPositions(
      dim: dim, headDim: sizes.headDim,
      base: try metadata.double(
        Key("rope.freq_base", huggingFace: "rope_parameters.rope_theta", "rotary_emb_base", "rope_theta"),
        default: 10_000),
      scaling: try metadata.rotaryScaling(dim: dim, trainedLength: sizes.trainedLength), layout: .halves
    ).positions
    configuration = sizes.configuration(
      metadata.architecture, layers: Array(repeating: sizes.layer(positions: positions), count: sizes.layers))
  }

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    let projected = graph.linear(
      graph.norm(x, "attn_norm"), .init("attn_q", rows: sizes.queryWidth), .init("attn_k", rows: sizes.keyWidth),
      .init("attn_v", rows: sizes.keyWidth))
    let attended = graph.attention(projected[0], projected[1], projected[2])

    func feedForward(_ x: LayerGraph.Value) -> LayerGraph.Value {
      let widened = graph.linear(graph.norm(x, "ffn_norm"), "ffn_up", rows: sizes.feedForward)
      return graph.linear(graph.activation(activation, widened), "ffn_down", rows: sizes.hidden)
    }
    if isParallel {
      let y = graph.sum(x, feedForward(x))
      return graph.sum(y, graph.linear(attended, "attn_output", rows: sizes.hidden))
    }
    let y = graph.sum(x, graph.linear(attended, "attn_output", rows: sizes.hidden))
    return graph.sum(y, feedForward(y))
  }
}
