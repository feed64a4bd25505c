import KVCaches
import Kernels

/// gpt-oss.
///
/// Per layer: attention with biases and a learned sink logit for each query head, then a choice of experts, whose gated unit
/// is clamped and whose router and matrices have biases. Every second layer sees a window of the text.
struct GPTOSS: ModelFamily {
  static let ggufName = "gpt-oss"
  static let names = TensorNames.usual.adding(
    ["post_attention_norm": "post_attention_layernorm", "ffn_gate_inp": "mlp.router"],
    experts: .transposed(gateAndUp: "mlp.experts.gate_up_proj", down: "mlp.experts.down_proj"))

  let configuration: ModelConfiguration
  let norm: Norm
  let tiesOutput: Bool
  private let experts: Experts

  private typealias Key = ModelMetadata.Key

  init(_ metadata: ModelMetadata) throws {
    let sizes = try metadata.sizes()
    norm = try metadata.rootMeanSquareNorm(default: 1e-5)
    tiesOutput = try metadata.tiesOutput()
    let inner = try metadata.integer(Key("expert_feed_forward_length"), default: sizes.feedForward)
    guard let experts = try metadata.experts(sizes, inner: inner, .clampedSilu) else {
      throw metadata.unsupported("a gpt-oss without experts is not supported")
    }
    self.experts = experts
    // Its ramp of YaRN does not end at whole pairs; GGUF files do not say so.
    let positions = try metadata.rotaryPositions(sizes, layout: .halves, base: 150_000, truncates: false)
    var global = sizes.layer()
    positions.apply(to: &global)
    var local = global
    local.window = try metadata.window()
    let isLocal = try metadata.windowedLayers(count: sizes.layers, standardPeriod: 2)
    configuration = sizes.configuration(
      metadata.architecture, layers: isLocal.map { $0 ? local : global }, experts: experts)
  }

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    let y = graph.sum(x, graph.selfAttention(graph.norm(x, "attn_norm"), configuration.layers[index]))
    return graph.sum(y, graph.routedExperts(graph.norm(y, "post_attention_norm"), experts))
  }
}
