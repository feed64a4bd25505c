import KVCaches
import Kernels

/// Qwen 1.5 and 2 with experts.
///
/// A Qwen 2 whose feed-forward is a choice of experts, whose weights need not add up to 1, beside one that every token meets
/// through a gate of its own.
struct Qwen2MoE: ModelFamily {
  static let ggufName = "qwen2moe"
  static let names = TensorNames.usual.adding(
    [
      "ffn_gate_inp": "mlp.gate", "ffn_gate_shexp": "mlp.shared_expert.gate_proj",
      "ffn_up_shexp": "mlp.shared_expert.up_proj", "ffn_down_shexp": "mlp.shared_expert.down_proj",
      "ffn_gate_inp_shexp": "mlp.shared_expert_gate",
    ],
    experts: .apart("mlp.experts", gate: "gate_proj", up: "up_proj", down: "down_proj"))

  let configuration: ModelConfiguration
  let norm: Norm
  let tiesOutput: Bool
  private let sizes: ModelSizes
  /// `[layer]`
  private let experts: [Experts?]
  private let sharedRows: Int

  private typealias Key = ModelMetadata.Key

  init(_ metadata: ModelMetadata) throws {
    sizes = try metadata.sizes()
    try metadata.require(.silu, "SiLU")
    norm = try metadata.rootMeanSquareNorm()
    tiesOutput = try metadata.tiesOutput()
    let inner = try metadata.integer(
      Key("expert_feed_forward_length", huggingFace: "moe_intermediate_size"), default: sizes.feedForward)
    sharedRows = try metadata.integer(
      Key("expert_shared_feed_forward_length", huggingFace: "shared_expert_intermediate_size"),
      default: sizes.feedForward)
    guard (1...1 << 22).contains(sharedRows) else {
      throw metadata.bad("shared_expert_intermediate_size", "must not be \(sharedRows)")
    }
    var all = try metadata.experts(sizes, inner: inner, .silu)
    all?.normalizes = try metadata.bool(ifPresent: Key(huggingFace: "norm_topk_prob")) ?? false
    experts = try metadata.sparseLayersOfQwen(count: sizes.layers).map { $0 ? all : nil }
    var layer = sizes.layer()
    try metadata.rotaryPositions(sizes, layout: .halves).apply(to: &layer)
    configuration = sizes.configuration(
      metadata.architecture, layers: try metadata.layersWithWindowsOfQwen(layer, count: sizes.layers), experts: all)
  }

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    let y = graph.sum(x, graph.selfAttention(graph.norm(x, "attn_norm"), configuration.layers[index]))
    let normed = graph.norm(y, "ffn_norm")
    guard let experts = experts[index] else {
      return graph.sum(y, graph.gatedFeedForward(normed, .silu, rows: sizes.feedForward))
    }
    let shared = graph.gate(
      graph.gatedFeedForward(normed, .silu, rows: sharedRows, suffix: "_shexp"),
      rowsBy: graph.linear(normed, "ffn_gate_inp_shexp", rows: 1))
    return graph.sum(y, graph.sum(graph.routedExperts(normed, experts), shared))
  }
}
