import KVCaches
import Kernels

/// Llama 1 to 3, TinyLlama, SmolLM, and Mistral.
///
/// Per layer: RMSNorm, grouped-query attention with rotary positions, RMSNorm, a SiLU-gated feed-forward; the output
/// matrix may be the embedding (tied).
struct Llama: ModelFamily {
  static let ggufName = "llama"
  static let interleavesInGGUF = true
  static let names = TensorNames(
    model: ["token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"],
    layers: "model.layers",
    layer: [
      "attn": "self_attn", "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
      "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
      "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
    ])

  let configuration: ModelConfiguration
  let norm: Norm
  let tiesOutput: Bool
  private let sizes: ModelSizes

  init(_ metadata: ModelMetadata) throws {
    var sizes = try metadata.sizes()
    guard try metadata.integer(Key("expert_count", huggingFace: "num_local_experts"), default: 0) == 0 else {
      throw metadata.unsupported("experts are not supported yet")
    }
    guard try metadata.activation(default: .silu) == .silu else {
      throw metadata.unsupported("only SiLU is supported as the activation of a Llama")
    }
    // With every layer windowed no layer is left for a plan: the window is what the model was trained to see.
    sizes.trainedLength = min(sizes.trainedLength, try metadata.window() ?? .max)
    norm = Norm(
      epsilon: try metadata.epsilon(
        Key("attention.layer_norm_rms_epsilon", huggingFace: "rms_norm_eps"), default: 1e-6))
    let dim = try metadata.integer(Key("rope.dimension_count"), default: sizes.headDim)
    let positions = try metadata.rotary(
      dim: dim, headDim: sizes.headDim,
      base: try metadata.double(
        Key("rope.freq_base", huggingFace: "rope_theta", "rope_parameters.rope_theta"), default: 10_000),
      scaling: try metadata.rotaryScaling(dim: dim, trainedLength: sizes.trainedLength),
      layout: metadata.isGGUF ? .interleaved : .halves)
    self.sizes = sizes
    tiesOutput = try metadata.bool(ifPresent: Key(huggingFace: "tie_word_embeddings")) ?? false
    configuration = sizes.configuration(
      metadata.architecture, layers: Array(repeating: sizes.layer(positions: positions), count: sizes.layers))
  }

  private typealias Key = ModelMetadata.Key

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    let projected = graph.linear(
      graph.norm(x, "attn_norm"), .init("attn_q", rows: sizes.queryWidth), .init("attn_k", rows: sizes.keyWidth),
      .init("attn_v", rows: sizes.keyWidth))
    let attended = graph.attention(projected[0], projected[1], projected[2])
    let y = graph.sum(x, graph.linear(attended, "attn_output", rows: sizes.hidden))

    let gated = graph.linear(
      graph.norm(y, "ffn_norm"), .init("ffn_gate", rows: sizes.feedForward), .init("ffn_up", rows: sizes.feedForward))
    let activated = graph.activation(.silu, gated[0], gated[1])
    return graph.sum(y, graph.linear(activated, "ffn_down", rows: sizes.hidden))
  }
}
