import KVCaches
import Kernels

/// Gemma 4, text only.
///
/// As Gemma 3, but values are normalised too, logits of attention are not scaled, layers that see everything have other
/// heads and turn a quarter of them, and the last layers may read the keys and values of an earlier one of their kind. Small
/// models add to every layer something of the token itself; large ones mix experts into the feed-forward.
struct Gemma4: ModelFamily {
  static let ggufName = "gemma4"
  static let names = Gemma3.names.adding(
    [
      "post_ffw_norm_1": "post_feedforward_layernorm_1", "post_ffw_norm_2": "post_feedforward_layernorm_2",
      "pre_ffw_norm_2": "pre_feedforward_layernorm_2", "ffn_gate_inp": "router.proj",
      "inp_gate": "per_layer_input_gate", "proj": "per_layer_projection", "post_norm": "post_per_layer_input_norm",
    ],
    model: [
      "per_layer_token_embd": "model.embed_tokens_per_layer",
      "per_layer_model_proj": "model.per_layer_model_projection",
      "per_layer_proj_norm": "model.per_layer_projection_norm",
    ],
    experts: .together(gateAndUp: "experts.gate_up_proj", down: "experts.down_proj"),
    whole: [
      "layer_output_scale.weight": "layer_scalar", "router_norm.weight": "router.scale",
      "ffn_down_exps.scale": "router.per_expert_scale",
    ],
    wholeInGGUF: ["router_norm.weight": "ffn_gate_inp.scale"])

  let configuration: ModelConfiguration
  let norm: Norm
  let tiesOutput = true
  let outputCap: Float?
  private let sizes: ModelSizes
  /// Of each layer, and of its part of what stands beside the residual stream; 0 where nothing does.
  private let feedForward: [Int]
  private let besideWidth: Int
  private let tableRows: Int
  private let experts: Experts?
  /// Whether a layer's values are its keys before their norm, `[layer]`.
  private let valuesAreKeys: [Bool]

  private typealias Key = ModelMetadata.Key

  init(_ metadata: ModelMetadata) throws {
    sizes = try metadata.sizes(trainedLength: 131_072)
    try metadata.require(.geluTanh, "GELU by the hyperbolic tangent")
    norm = try metadata.rootMeanSquareNorm()
    outputCap = try metadata.factor(Key("final_logit_softcapping", huggingFace: "final_logit_softcapping"))
    let layers = try metadata.layersOfGemma4(sizes)
    besideWidth = try metadata.integer(
      Key("embedding_length_per_layer_input", huggingFace: "hidden_size_per_layer_input"), default: 0)
    tableRows = try metadata.integer(Key(huggingFace: "vocab_size_per_layer_input"), default: sizes.vocabulary)
    guard (0...1 << 16).contains(besideWidth), (1...1 << 24).contains(tableRows) else {
      throw metadata.bad("hidden_size_per_layer_input", "is impossible")
    }
    feedForward = try metadata.feedForwardOfGemma4(layers: layers.count)
    let inner = try metadata.integer(
      Key("expert_feed_forward_length", huggingFace: "moe_intermediate_size"), default: sizes.feedForward)
    let mixes = try metadata.bool(ifPresent: Key(huggingFace: "enable_moe_block")) ?? metadata.isGGUF
    var experts = mixes ? try metadata.experts(sizes, inner: inner, .geluTanh) : nil
    experts?.hasScales = true
    self.experts = experts
    let areEqual = try metadata.bool(ifPresent: Key(huggingFace: "attention_k_eq_v")) ?? false
    valuesAreKeys = layers.indices.map { layer in
      metadata.isGGUF ? !metadata.hasTensor("blk.\(layer).attn_v.weight") : areEqual && layers[layer].window == nil
    }
    configuration = sizes.configuration(metadata.architecture, layers: layers, experts: experts)
  }

  var embeddingScale: Float? { Float(sizes.hidden).squareRoot() }

  func beside(_ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    guard besideWidth > 0 else { return x }
    let width = besideWidth * sizes.layers
    let projected = graph.scale(
      graph.linear(x, "per_layer_model_proj", rows: width), by: 1 / Float(sizes.hidden).squareRoot())
    let normed = graph.headNorm(projected, "per_layer_proj_norm", size: besideWidth)
    let own = graph.scale(
      graph.tableRows("per_layer_token_embd", rows: tableRows, width: width), by: Float(besideWidth).squareRoot())
    return graph.scale(graph.sum(normed, own), by: Float(0.5).squareRoot())
  }

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    let attended = attention(index, &graph, graph.norm(x, "attn_norm"))
    let mixed = graph.linear(attended, "attn_output", rows: sizes.hidden)
    var y = graph.sum(x, graph.norm(mixed, "post_attention_norm"))
    var fed = graph.gatedFeedForward(graph.norm(y, "ffn_norm"), .geluTanh, rows: feedForward[index])
    if let experts {
      let scores = graph.linear(
        graph.scale(graph.norm(y, "router_norm"), by: 1 / Float(sizes.hidden).squareRoot()), "ffn_gate_inp",
        rows: experts.count)
      let chosen = graph.experts(graph.norm(y, "pre_ffw_norm_2"), scores: scores, experts)
      fed = graph.sum(graph.norm(fed, "post_ffw_norm_1"), graph.norm(chosen, "post_ffw_norm_2"))
    }
    y = graph.sum(y, graph.norm(fed, "post_ffw_norm"))
    if besideWidth > 0 {
      let gate = graph.linear(y, "inp_gate", rows: besideWidth)
      let own = graph.activation(.geluTanh, gate, graph.beside(offset: index * besideWidth, width: besideWidth))
      y = graph.sum(y, graph.norm(graph.linear(own, "proj", rows: sizes.hidden), "post_norm"))
    }
    return graph.scale(y, byStored: "layer_output_scale")
  }

  private func attention(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    let layer = configuration.layers[index]
    let (width, dim) = (layer.keyValueHeads * layer.headDim, layer.headDim)
    let query = LayerGraph.Matrix("attn_q", rows: layer.queryHeads * dim)
    guard layer.keepsKeys else {
      return graph.attention(graph.headNorm(graph.linear(x, query)[0], "attn_q_norm", size: dim))
    }
    let key = LayerGraph.Matrix("attn_k", rows: width)
    let projected =
      valuesAreKeys[index] ? graph.linear(x, query, key) : graph.linear(x, query, key, .init("attn_v", rows: width))
    let values = graph.headNorm(projected[projected.count - 1], nil, size: dim)
    return graph.attention(
      graph.headNorm(projected[0], "attn_q_norm", size: dim), graph.headNorm(projected[1], "attn_k_norm", size: dim),
      values)
  }
}
