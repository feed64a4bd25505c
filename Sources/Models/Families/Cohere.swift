import KVCaches
import Kernels

/// Command-R, Command-R7B, Aya.
///
/// Per layer: attention and a SiLU-gated feed-forward side by side, behind one LayerNorm without bias. In the second
/// generation (`cohere2`) three of four layers see a window of the text, and those that see everything know no positions.
struct Cohere: ModelFamily {
  static let ggufName = "command-r"
  static let names = TensorNames.usual

  let configuration: ModelConfiguration
  let norm: Norm
  let tiesOutput: Bool
  let outputScale: Float?
  private let sizes: ModelSizes

  private typealias Key = ModelMetadata.Key

  init(_ metadata: ModelMetadata) throws {
    sizes = try metadata.sizes(trainedLength: 8192)
    try metadata.require(.silu, "SiLU")
    if try metadata.bool(ifPresent: Key(huggingFace: "use_qk_norm")) ?? metadata.hasTensor("blk.0.attn_q_norm.weight") {
      throw metadata.unsupported("a Command-R whose heads have norms of their own (Command-R+) is not supported")
    }
    norm = try metadata.layerNorm()
    tiesOutput = try metadata.tiesOutput(default: true)
    outputScale = try metadata.factor(Key("logit_scale", huggingFace: "logit_scale")) ?? 0.0625
    var rotated = sizes.layer()
    // Pairs stand side by side in all files.
    try metadata.rotaryPositions(sizes, layout: .interleaved).apply(to: &rotated)
    guard metadata.architecture == "cohere2" else {
      configuration = sizes.configuration(metadata.architecture, layers: Array(repeating: rotated, count: sizes.layers))
      return
    }
    rotated.window = try metadata.window()
    let (local, global) = (rotated, sizes.layer())
    let isLocal = try metadata.windowedLayers(count: sizes.layers, standardPeriod: 4)
    configuration = sizes.configuration(metadata.architecture, layers: isLocal.map { $0 ? local : global })
  }

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    let normed = graph.norm(x, "attn_norm")
    let attended = graph.selfAttention(normed, configuration.layers[index])
    let fed = graph.gatedFeedForward(normed, .silu, rows: sizes.feedForward)
    return graph.sum(graph.sum(x, fed), attended)
  }
}
