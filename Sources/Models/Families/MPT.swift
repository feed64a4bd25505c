import CLibrary
import KVCaches
import Kernels

/// MPT.
///
/// Per layer: LayerNorm without bias, attention with ALiBi, LayerNorm, a feed-forward with GELU; no biases.
struct MPT: ModelFamily {
  static let ggufName = "mpt"
  static let names = TensorNames(
    model: ["token_embd": "transformer.wte", "output_norm": "transformer.norm_f", "output": "lm_head"],
    layers: "transformer.blocks",
    layer: [
      "attn_norm": "norm_1", "attn_qkv": "attn.Wqkv", "attn_output": "attn.out_proj", "ffn_norm": "norm_2",
      "ffn_up": "ffn.up_proj", "ffn_down": "ffn.down_proj",
    ])

  let configuration: ModelConfiguration
  let norm: Norm
  let tiesOutput: Bool
  private let sizes: ModelSizes
  private let clamp: Float?

  private typealias Key = ModelMetadata.Key

  init(_ metadata: ModelMetadata) throws {
    sizes = try metadata.sizes(feedForward: 4 * metadata.integer(Key(huggingFace: "d_model"), default: 0))
    guard try metadata.bool(ifPresent: Key(huggingFace: "attn_config.alibi")) ?? true,
      !metadata.hasTensor("position_embd.weight")
    else { throw metadata.unsupported("an MPT with learned positions is not supported") }
    for name in ["attn_config.softmax_scale", "logit_scale"]
    where try metadata.double(ifPresent: Key(huggingFace: name)) != nil {
      throw metadata.unsupported("an MPT with '\(name)' is not supported")
    }
    norm = try metadata.layerNorm()
    tiesOutput = try metadata.tiesOutput(default: !metadata.isGGUF)
    clamp = try metadata.factor(Key("attention.clamp_kqv", huggingFace: "attn_config.clip_qkv"))
    let largest = try metadata.double(
      Key("attention.max_alibi_bias", huggingFace: "attn_config.alibi_bias_max"), default: 8)
    guard largest.isFinite, largest > 0 else { throw metadata.bad("alibi_bias_max", "must be positive") }
    let layer = sizes.layer(positions: .linearBias(slopes: Self.slopes(heads: sizes.heads, largest: largest)))
    configuration = sizes.configuration(metadata.architecture, layers: Array(repeating: layer, count: sizes.layers))
  }

  /// 2^(−m · largest / n) for m from 1 to n, the power of two from `heads` on; of more than needed every second one first.
  private static func slopes(heads: Int, largest: Double) -> [Float] {
    var count = 1
    while count < heads { count *= 2 }
    let all = (1...count).map { Float(exp2(-Double($0) * largest / Double(count))) }
    guard count > heads else { return all }
    let halves = [1, 0].flatMap { first in stride(from: first, to: count, by: 2).map { all[$0] } }
    return Array(halves.prefix(heads))
  }

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    var (queries, keys, values) = graph.queriesKeysValues(graph.norm(x, "attn_norm"), configuration.layers[index])
    if let clamp {
      queries = graph.clamp(queries, to: clamp)
      keys = graph.clamp(keys, to: clamp)
      values = graph.clamp(values, to: clamp)
    }
    let attended = graph.attention(queries, keys, values)
    let y = graph.sum(x, graph.linear(attended, "attn_output", rows: sizes.hidden))
    return graph.sum(y, graph.feedForward(graph.norm(y, "ffn_norm"), .geluErf, rows: sizes.feedForward))
  }
}
