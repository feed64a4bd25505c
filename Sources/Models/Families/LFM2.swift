import KVCaches
import Kernels

/// LFM 2 and 2.5, dense and with experts.
///
/// Most layers mix three tokens by a short convolution between two gates; the others attend, with norms of their heads. A
/// SiLU-gated feed-forward follows, which in the larger ones is a choice of experts.
struct LFM2: ModelFamily {
  static let ggufName = "lfm2"
  static let names = TensorNames(
    model: [
      "token_embd": "model.embed_tokens", "token_embd_norm": "model.embedding_norm", "output_norm": "model.norm",
      "output": "lm_head",
    ],
    layers: "model.layers",
    layer: [
      "attn_norm": "operator_norm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
      "attn_v": "self_attn.v_proj", "attn_output": "self_attn.out_proj", "attn_q_norm": "self_attn.q_layernorm",
      "attn_k_norm": "self_attn.k_layernorm", "shortconv.in_proj": "conv.in_proj", "shortconv.conv": "conv.conv",
      "shortconv.out_proj": "conv.out_proj", "ffn_norm": "ffn_norm", "ffn_gate": "feed_forward.w1",
      "ffn_up": "feed_forward.w3", "ffn_down": "feed_forward.w2", "ffn_gate_inp": "feed_forward.gate",
    ],
    fused: [.init(stem: "shortconv.in_proj", parts: ["before", "after", "mixed"])],
    experts: .apart("feed_forward.experts", gate: "w1", up: "w3", down: "w2"),
    whole: ["exp_probs_b.bias": "feed_forward.expert_bias"])

  let configuration: ModelConfiguration
  let norm: Norm
  let tiesOutput: Bool
  private let sizes: ModelSizes
  private let span: Int
  private let feedForward: Int
  private let finalNorm: String
  /// `[layer]`
  private let experts: [Experts?]

  private typealias Key = ModelMetadata.Key

  init(_ metadata: ModelMetadata) throws {
    sizes = try metadata.sizes()
    norm = try metadata.rootMeanSquareNorm(default: 1e-5)
    tiesOutput = try metadata.tiesOutput(default: true)
    // The norm before the output is called one of the embedding; Ollama's files call it what it is.
    finalNorm = metadata.hasTensor("output_norm.weight") ? "output_norm" : "token_embd_norm"
    span = try metadata.integer(Key("shortconv.l_cache", huggingFace: "conv_L_cache"), default: 3)
    guard (2...64).contains(span) else { throw metadata.bad("conv_L_cache", "must be from 2 to 64, not \(span)") }
    feedForward = try metadata.feedForwardOfLFM(sizes)
    let inner = try metadata.integer(
      Key("expert_feed_forward_length", huggingFace: "moe_intermediate_size"), default: feedForward)
    let dense = try metadata.integer(Key("leading_dense_block_count", huggingFace: "num_dense_layers"), default: 0)
    var all = try metadata.experts(sizes, inner: inner, .silu)
    all?.scoring = .sigmoid
    all?.hasSelectionBias = true
    all?.normalizes = try metadata.bool(ifPresent: Key("expert_weights_norm", huggingFace: "norm_topk_prob")) ?? true
    all?.scale = try metadata.factor(Key("expert_weights_scale", huggingFace: "routed_scaling_factor")) ?? 1
    experts = (0..<sizes.layers).map { $0 < dense ? nil : all }

    let attends: [Bool]
    if let types = try metadata.strings(ifPresent: Key(huggingFace: "layer_types")) {
      attends = types.map { $0 == "full_attention" }
    } else {
      attends = try metadata.integers(Key("attention.head_count_kv"), layers: sizes.layers).map { $0 > 0 }
    }
    guard attends.count == sizes.layers, attends.contains(true) else {
      throw metadata.bad("layer_types", "must name \(sizes.layers) layers, of which some attend")
    }
    var attending = sizes.layer()
    try metadata.rotaryPositions(sizes, layout: .halves, base: 1_000_000).apply(to: &attending)
    let mixing = AttentionLayer(Recurrence(channels: sizes.hidden, span: span))
    configuration = sizes.configuration(
      metadata.architecture, layers: attends.map { $0 ? attending : mixing }, experts: all)
  }

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    let layer = configuration.layers[index]
    let normed = graph.norm(x, "attn_norm")
    let mixed =
      layer.recurrence == nil
      ? graph.selfAttention(normed, layer, headNorms: true) : shortConvolution(normed, &graph)
    let y = graph.sum(x, mixed)
    let other = graph.norm(y, "ffn_norm")
    if let experts = experts[index] { return graph.sum(y, graph.routedExperts(other, experts)) }
    return graph.sum(y, graph.gatedFeedForward(other, .silu, rows: feedForward))
  }

  private func shortConvolution(_ x: LayerGraph.Value, _ graph: inout LayerGraph) -> LayerGraph.Value {
    let parts = graph.linear(
      x, .init("before", rows: sizes.hidden), .init("after", rows: sizes.hidden), .init("mixed", rows: sizes.hidden))
    let mixed = graph.convolution(graph.product(parts[0], parts[2]), "shortconv.conv", span: span, hasSilu: false)
    return graph.linear(graph.product(parts[1], mixed), "shortconv.out_proj", rows: sizes.hidden)
  }

  func logits(_ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    graph.linear(graph.norm(x, finalNorm), "output", rows: sizes.vocabulary)
  }
}

extension ModelMetadata {
  /// The width of the feed-forward, which Hugging Face files give before it is cut by two thirds and rounded up.
  fileprivate func feedForwardOfLFM(_ sizes: ModelSizes) throws -> Int {
    let stored = try integer(ifPresent: Key(huggingFace: "block_ff_dim")) ?? sizes.feedForward
    guard !isGGUF, try bool(ifPresent: Key(huggingFace: "block_auto_adjust_ff_dim")) ?? false else { return stored }
    let multiplier = try double(ifPresent: Key(huggingFace: "block_ffn_dim_multiplier")) ?? 1
    let step = try integer(Key(huggingFace: "block_multiple_of"), default: 256)
    guard step > 0, multiplier > 0, multiplier < 16 else { throw bad("block_multiple_of", "must be positive") }
    return (Int(multiplier * Double(2 * stored / 3)) + step - 1) / step * step
  }
}
