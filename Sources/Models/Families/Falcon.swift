import KVCaches
import Kernels

/// Falcon 1 and 2.
///
/// Per layer: attention and feed-forward side by side, behind one LayerNorm or one each; few KV heads, GELU, no biases in the
/// matrices.
struct Falcon: ModelFamily {
  static let ggufName = "falcon"
  static let names = TensorNames(
    model: ["token_embd": "transformer.word_embeddings", "output_norm": "transformer.ln_f", "output": "lm_head"],
    layers: "transformer.h",
    layer: [
      "attn_qkv": "self_attention.query_key_value", "attn_output": "self_attention.dense",
      "ffn_up": "mlp.dense_h_to_4h", "ffn_down": "mlp.dense_4h_to_h", "attn_norm": "input_layernorm",
      "attn_norm_2": "ln_attn", "ffn_norm": "ln_mlp",
    ],
    fused: [.init(stem: "attn_qkv", parts: ["attn_q", "attn_k", "attn_v"], order: .headByHead)])

  let configuration: ModelConfiguration
  let norm: Norm
  let tiesOutput: Bool
  private let sizes: ModelSizes
  private let norms: (attention: String, feedForward: String)

  private typealias Key = ModelMetadata.Key

  init(_ metadata: ModelMetadata) throws {
    let isNew = try metadata.bool(ifPresent: Key(huggingFace: "new_decoder_architecture")) ?? false
    let sharesHead = try metadata.bool(ifPresent: Key(huggingFace: "multi_query")) ?? false
    if try metadata.bool(ifPresent: Key(huggingFace: "alibi")) ?? false {
      throw metadata.unsupported("a Falcon with ALiBi is not supported")
    }
    guard try metadata.bool(ifPresent: Key(huggingFace: "parallel_attn")) ?? true else {
      throw metadata.unsupported("a Falcon whose feed-forward follows attention is not supported")
    }
    // Older files say of one KV head that there are as many as others.
    let stored = try metadata.integer(ifPresent: Key(huggingFace: "num_kv_heads", "n_head_kv"))
    let keyValueHeads = metadata.isGGUF ? nil : isNew ? stored : sharesHead ? 1 : nil
    sizes = try metadata.sizes(
      keyValueHeads: keyValueHeads,
      feedForward: 4 * metadata.integer(Key("embedding_length", huggingFace: "hidden_size")), trainedLength: 2048)
    try metadata.require(.geluErf, "GELU by the error function")
    norm = try metadata.layerNorm()
    tiesOutput = try metadata.tiesOutput(default: !metadata.isGGUF)
    // GGUF files call the norm before the feed-forward "attn_norm", and that before attention "attn_norm_2", if it is another.
    let hasTwo = metadata.hasTensor(metadata.isGGUF ? "blk.0.attn_norm_2.weight" : "h.0.ln_attn.weight")
    norms = hasTwo ? ("attn_norm_2", metadata.isGGUF ? "attn_norm" : "ffn_norm") : ("attn_norm", "attn_norm")
    var layer = sizes.layer()
    try metadata.rotaryPositions(sizes, layout: .halves).apply(to: &layer)
    configuration = sizes.configuration(metadata.architecture, layers: Array(repeating: layer, count: sizes.layers))
  }

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    let normed = graph.norm(x, norms.attention)
    let (queries, keys, values) = graph.queriesKeysValues(normed, configuration.layers[index])
    let attended = graph.attention(queries, keys, values)
    let other = norms.attention == norms.feedForward ? normed : graph.norm(x, norms.feedForward)
    let y = graph.sum(x, graph.feedForward(other, .geluErf, rows: sizes.feedForward))
    return graph.sum(y, graph.linear(attended, "attn_output", rows: sizes.hidden))
  }
}
