import KVCaches
import Kernels

/// Gemma 2.
///
/// Per layer: grouped-query attention, then a feed-forward gated by GELU, each between two norms. The logits of attention and
/// of the output have soft caps, and every second layer sees a window of the text.
struct Gemma2: ModelFamily {
  static let ggufName = "gemma2"
  static let names = TensorNames.usual.adding([
    "post_attention_norm": "post_attention_layernorm", "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
  ])

  let configuration: ModelConfiguration
  let norm: Norm
  let tiesOutput = true
  let outputCap: Float?
  private let sizes: ModelSizes

  private typealias Key = ModelMetadata.Key

  init(_ metadata: ModelMetadata) throws {
    sizes = try metadata.sizes()
    try metadata.require(.geluTanh, "GELU by the hyperbolic tangent")
    norm = try metadata.rootMeanSquareNorm(weightOffset: metadata.isGGUF ? 0 : 1)
    outputCap = try metadata.softCap("final_logit_softcapping", default: 30)
    // GGUF does not say it: only the model of 46 layers scales by other than its head size.
    let scalar =
      metadata.isGGUF
      ? Double(sizes.layers == 46 ? sizes.hidden / sizes.heads : sizes.headDim)
      : try metadata.double(Key(huggingFace: "query_pre_attn_scalar"), default: 256)
    guard scalar.isFinite, scalar > 0 else { throw metadata.bad("query_pre_attn_scalar", "must be positive") }
    var global = sizes.layer()
    try metadata.rotaryPositions(sizes, layout: .halves).apply(to: &global)
    global.scale = Float(1 / scalar.squareRoot())
    global.softCap = try metadata.softCap("attn_logit_softcapping", default: 50)
    var local = global
    local.window = try metadata.window()
    let isLocal = try metadata.windowedLayers(count: sizes.layers, standardPeriod: 2)
    configuration = sizes.configuration(metadata.architecture, layers: isLocal.map { $0 ? local : global })
  }

  var embeddingScale: Float? { Float(sizes.hidden).squareRoot() }

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    let attended = graph.selfAttention(graph.norm(x, "attn_norm"), configuration.layers[index])
    let y = graph.sum(x, graph.norm(attended, "post_attention_norm"))
    let fed = graph.gatedFeedForward(graph.norm(y, "ffn_norm"), .geluTanh, rows: sizes.feedForward)
    return graph.sum(y, graph.norm(fed, "post_ffw_norm"))
  }
}
