import KVCaches
import Kernels

/// Qwen 3.5, dense and with experts, text only.
///
/// Three of four layers mix tokens by a gated delta rule, a matrix a head in place of keys; the fourth attends, with norms of
/// its heads, a rotation of a quarter of each, and a gate on what comes out. A SiLU-gated feed-forward follows, or a choice
/// of experts beside one that is always met.
struct Qwen35: ModelFamily {
  static let ggufName = "qwen35"
  static let names = TensorNames(
    model: ["token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"],
    layers: "model.layers",
    layer: [
      "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
      "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm",
      "attn_k_norm": "self_attn.k_norm", "attn_qkv": "linear_attn.in_proj_qkv", "attn_gate": "linear_attn.in_proj_z",
      "ssm_alpha": "linear_attn.in_proj_a", "ssm_beta": "linear_attn.in_proj_b", "ssm_conv1d": "linear_attn.conv1d",
      "ssm_norm": "linear_attn.norm", "ssm_out": "linear_attn.out_proj",
      "post_attention_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
      "ffn_down": "mlp.down_proj", "ffn_gate_inp": "mlp.gate", "ffn_gate_shexp": "mlp.shared_expert.gate_proj",
      "ffn_up_shexp": "mlp.shared_expert.up_proj", "ffn_down_shexp": "mlp.shared_expert.down_proj",
      "ffn_gate_inp_shexp": "mlp.shared_expert_gate",
    ],
    fused: [.init(stem: "attn_q", parts: ["attn_q", "attn_q_gate"], order: .queryHeadByQueryHead)],
    experts: .apart("mlp.experts", gate: "gate_proj", up: "up_proj", down: "down_proj"),
    whole: ["ssm_a.weight": "linear_attn.A_log", "ssm_dt.bias": "linear_attn.dt_bias"])

  let configuration: ModelConfiguration
  let norm: Norm
  let tiesOutput: Bool
  private let sizes: ModelSizes
  private let recurrence: Recurrence
  private let rule: Recurrence.DeltaRule
  private let experts: Experts?
  private let sharedRows: Int

  private typealias Key = ModelMetadata.Key

  init(_ metadata: ModelMetadata) throws {
    // Models with experts have no width of a dense feed-forward.
    let expertRows = Key("expert_feed_forward_length", huggingFace: "moe_intermediate_size")
    sizes = try metadata.sizes(feedForward: metadata.integer(ifPresent: expertRows))
    try metadata.require(.silu, "SiLU")
    norm = try metadata.rootMeanSquareNorm(weightOffset: metadata.isGGUF ? 0 : 1)
    tiesOutput = try metadata.tiesOutput()
    (recurrence, rule) = try metadata.recurrenceOfQwen35()
    let inner = try metadata.integer(expertRows, default: sizes.feedForward)
    experts = try metadata.experts(sizes, inner: inner, .silu)
    sharedRows = try metadata.integer(
      Key("expert_shared_feed_forward_length", huggingFace: "shared_expert_intermediate_size"), default: inner)
    let interval = try metadata.integer(
      Key("full_attention_interval", huggingFace: "full_attention_interval"), default: 4)
    guard interval > 0 else { throw metadata.bad("full_attention_interval", "must be positive, not \(interval)") }
    let types = try metadata.strings(ifPresent: Key(huggingFace: "layer_types"))
    let attends = types.map { $0.map { $0 == "full_attention" } } ?? (0..<sizes.layers).map { ($0 + 1) % interval == 0 }
    guard attends.count == sizes.layers, attends.contains(true) else {
      throw metadata.bad("layer_types", "must name \(sizes.layers) layers, of which some attend")
    }
    var attending = sizes.layer()
    try metadata.rotaryPositions(sizes, layout: .halves, share: 0.25).apply(to: &attending)
    let mixing = AttentionLayer(recurrence)
    configuration = sizes.configuration(
      metadata.architecture, layers: attends.map { $0 ? attending : mixing }, experts: experts)
  }

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    let layer = configuration.layers[index]
    let normed = graph.norm(x, "attn_norm")
    let y = graph.sum(x, layer.recurrence == nil ? attention(normed, layer, &graph) : deltaRule(normed, &graph))
    let other = graph.norm(y, "post_attention_norm")
    guard let experts else { return graph.sum(y, graph.gatedFeedForward(other, .silu, rows: sizes.feedForward)) }
    let shared = graph.gate(
      graph.gatedFeedForward(other, .silu, rows: sharedRows, suffix: "_shexp"),
      rowsBy: graph.linear(other, "ffn_gate_inp_shexp", rows: 1))
    return graph.sum(y, graph.sum(graph.routedExperts(other, experts), shared))
  }

  private func attention(
    _ x: LayerGraph.Value, _ layer: AttentionLayer, _ graph: inout LayerGraph
  ) -> LayerGraph.Value {
    let gated = graph.linear(x, .init("attn_q", rows: sizes.queryWidth), .init("attn_q_gate", rows: sizes.queryWidth))
    let stored = graph.linear(x, .init("attn_k", rows: sizes.keyWidth), .init("attn_v", rows: sizes.keyWidth))
    let attended = graph.attention(
      graph.headNorm(gated[0], "attn_q_norm", size: layer.headDim),
      graph.headNorm(stored[0], "attn_k_norm", size: layer.headDim), stored[1])
    return graph.linear(graph.activation(.sigmoid, gated[1], attended), "attn_output", rows: sizes.hidden)
  }

  private func deltaRule(_ x: LayerGraph.Value, _ graph: inout LayerGraph) -> LayerGraph.Value {
    let width = rule.valueHeads * rule.valueDim
    let mixed = graph.linear(x, .init("attn_qkv", rows: rule.width), .init("attn_gate", rows: width))
    let gates = graph.linear(x, .init("ssm_alpha", rows: rule.valueHeads), .init("ssm_beta", rows: rule.valueHeads))
    let convolved = graph.convolution(mixed[0], "ssm_conv1d", span: recurrence.span, hasSilu: true)
    let answers = graph.deltaRule(
      convolved, decays: gates[0], betas: gates[1], rule, rates: "ssm_a", offsets: "ssm_dt")
    let normed = graph.headNorm(answers, "ssm_norm", size: rule.valueDim, isPlain: true)
    return graph.linear(graph.activation(.silu, mixed[1], normed), "ssm_out", rows: sizes.hidden)
  }
}
