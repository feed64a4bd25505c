import KVCaches
import Kernels

/// Qwen 3, dense and with experts.
///
/// A Llama without biases, whose queries and keys are normalised head by head before they turn; in the larger ones the
/// feed-forward is a choice of experts, except in layers that a file names.
struct Qwen3: ModelFamily {
  static let ggufName = "qwen3"
  static let names = TensorNames.usual.adding(
    ["attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm", "ffn_gate_inp": "mlp.gate"],
    experts: .apart("mlp.experts", gate: "gate_proj", up: "up_proj", down: "down_proj"))

  let configuration: ModelConfiguration
  let norm: Norm
  let tiesOutput: Bool
  private let sizes: ModelSizes
  private let factors: [Float]?
  /// `[layer]`
  private let experts: [Experts?]

  private typealias Key = ModelMetadata.Key

  init(_ metadata: ModelMetadata) throws {
    sizes = try metadata.sizes()
    try metadata.require(.silu, "SiLU")
    norm = try metadata.rootMeanSquareNorm()
    tiesOutput = try metadata.tiesOutput()
    let inner = try metadata.integer(
      Key("expert_feed_forward_length", huggingFace: "moe_intermediate_size"), default: sizes.feedForward)
    var all = try metadata.experts(sizes, inner: inner, .silu)
    all?.normalizes = try metadata.bool(ifPresent: Key(huggingFace: "norm_topk_prob")) ?? metadata.isGGUF
    experts = try metadata.sparseLayersOfQwen(count: sizes.layers).map { $0 ? all : nil }
    let positions = try metadata.rotaryPositions(sizes, layout: .halves, scalesQueries: true)
    var layer = sizes.layer()
    positions.apply(to: &layer)
    factors = positions.queryFactors(headDim: sizes.headDim)
    configuration = sizes.configuration(
      metadata.architecture, layers: try metadata.layersWithWindowsOfQwen(layer, count: sizes.layers), experts: all)
  }

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    let attended = graph.selfAttention(
      graph.norm(x, "attn_norm"), configuration.layers[index], headNorms: true, factors: factors)
    let y = graph.sum(x, attended)
    let normed = graph.norm(y, "ffn_norm")
    if let experts = experts[index] { return graph.sum(y, graph.routedExperts(normed, experts)) }
    return graph.sum(y, graph.gatedFeedForward(normed, .silu, rows: sizes.feedForward))
  }
}
