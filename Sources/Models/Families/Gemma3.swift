import KVCaches
import Kernels

/// Gemma 3, text only.
///
/// Per layer: grouped-query attention whose queries and keys are normalised head by head, then a feed-forward gated by
/// GELU, each between two norms. Five layers see a window of the text, the sixth sees all of it and rotates slower.
struct Gemma3: ModelFamily {
  static let ggufName = "gemma3"
  static let names = Gemma2.names.adding([
    "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
  ])

  let configuration: ModelConfiguration
  let norm: Norm
  let tiesOutput = true
  let outputCap: Float?
  private let sizes: ModelSizes

  private typealias Key = ModelMetadata.Key

  init(_ metadata: ModelMetadata) throws {
    let sizes =
      metadata.isGGUF
      ? try metadata.sizes()
      : try metadata.sizes(heads: 8, headDim: 256, trainedLength: 131_072)
    try metadata.require(.geluTanh, "GELU by the hyperbolic tangent")
    if try metadata.bool(ifPresent: Key(huggingFace: "use_bidirectional_attention")) ?? false {
      throw metadata.unsupported("attention to later tokens is not supported")
    }
    norm = try metadata.rootMeanSquareNorm(weightOffset: metadata.isGGUF ? 0 : 1)
    outputCap = try metadata.factor(Key("final_logit_softcapping", huggingFace: "final_logit_softcapping"))

    var global = sizes.layer(
      positions: try metadata.rotaryPositions(
        dim: sizes.headDim, headDim: sizes.headDim,
        base: try metadata.double(
          Key(
            "rope.freq_base", "rope.global.freq_base", huggingFace: "rope_parameters.full_attention.rope_theta",
            "rope_theta"), default: 1_000_000),
        scaling: try metadata.rotaryScaling(
          dim: sizes.headDim, trainedLength: sizes.trainedLength,
          places: ["rope_parameters.full_attention", "rope_scaling"]), layout: .halves
      ).positions)
    // GGUF does not say it: only the model of 62 layers scales by other than its head size.
    let scalar =
      metadata.isGGUF
      ? Double(sizes.layers == 62 ? sizes.hidden / sizes.heads : sizes.headDim)
      : try metadata.double(Key(huggingFace: "query_pre_attn_scalar"), default: 256)
    guard scalar.isFinite, scalar > 0 else {
      throw metadata.bad("query_pre_attn_scalar", "must be positive, not \(scalar)")
    }
    global.scale = Float(1 / scalar.squareRoot())
    var local = global
    local.positions = try metadata.rotaryPositions(
      dim: sizes.headDim, headDim: sizes.headDim,
      base: try metadata.double(
        Key(
          "rope.freq_base_swa", "rope.local.freq_base",
          huggingFace: "rope_parameters.sliding_attention.rope_theta", "rope_local_base_freq"), default: 10_000),
      scaling: .none, layout: .halves
    ).positions
    local.window = try metadata.window()
    let isLocal = try metadata.windowedLayers(count: sizes.layers, standardPeriod: 6)
    configuration = sizes.configuration(metadata.architecture, layers: isLocal.map { $0 ? local : global })
    self.sizes = sizes
  }

  var embeddingScale: Float? { Float(sizes.hidden).squareRoot() }

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    let attended = graph.selfAttention(graph.norm(x, "attn_norm"), configuration.layers[index], headNorms: true)
    let y = graph.sum(x, graph.norm(attended, "post_attention_norm"))
    let fed = graph.gatedFeedForward(graph.norm(y, "ffn_norm"), .geluTanh, rows: sizes.feedForward)
    return graph.sum(y, graph.norm(fed, "post_ffw_norm"))
  }
}
