import KVCaches
import Kernels

/// StableLM 3B, Zephyr and StableLM 2 1.6B.
///
/// A Llama with LayerNorm, of which a quarter of a head turns; some have biases on queries, keys and values, and some
/// attention and feed-forward side by side behind one norm.
struct StableLM: ModelFamily {
  static let ggufName = "stablelm"
  static let names = TensorNames.usual

  let configuration: ModelConfiguration
  let norm: Norm
  let tiesOutput: Bool
  private let sizes: ModelSizes
  private let isParallel: Bool

  private typealias Key = ModelMetadata.Key

  init(_ metadata: ModelMetadata) throws {
    sizes = try metadata.sizes()
    try metadata.require(.silu, "SiLU")
    if try metadata.bool(ifPresent: Key(huggingFace: "qk_layernorm")) ?? metadata.hasTensor("blk.0.attn_q_norm.weight")
    {
      throw metadata.unsupported("a StableLM whose heads have norms of their own (StableLM 2 12B) is not supported")
    }
    norm = try metadata.layerNorm()
    tiesOutput = try metadata.tiesOutput()
    let says = try metadata.bool(ifPresent: Key("use_parallel_residual", huggingFace: "use_parallel_residual")) ?? false
    // GGUF files say so of all of them; those that are not have a second norm.
    isParallel = metadata.isGGUF ? !metadata.hasTensor("blk.0.ffn_norm.weight") : says
    var layer = sizes.layer()
    try metadata.rotaryPositions(sizes, layout: .halves, share: 0.25).apply(to: &layer)
    configuration = sizes.configuration(metadata.architecture, layers: Array(repeating: layer, count: sizes.layers))
  }

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    let normed = graph.norm(x, "attn_norm")
    let attended = graph.selfAttention(normed, configuration.layers[index])
    guard !isParallel else {
      return graph.sum(graph.sum(x, graph.gatedFeedForward(normed, .silu, rows: sizes.feedForward)), attended)
    }
    let y = graph.sum(x, attended)
    return graph.sum(y, graph.gatedFeedForward(graph.norm(y, "ffn_norm"), .silu, rows: sizes.feedForward))
  }
}
