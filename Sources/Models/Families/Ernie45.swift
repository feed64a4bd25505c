import KVCaches
import Kernels

/// ERNIE 4.5, dense.
///
/// A Llama whose rotary pairs stand side by side in all files.
struct Ernie45: ModelFamily {
  static let ggufName = "ernie4_5"
  static let names = TensorNames.usual

  let configuration: ModelConfiguration
  let norm: Norm
  let tiesOutput: Bool
  private let sizes: ModelSizes

  init(_ metadata: ModelMetadata) throws {
    sizes = try metadata.sizes()
    try metadata.require(.silu, "SiLU")
    norm = try metadata.rootMeanSquareNorm(default: 1e-5)
    tiesOutput = try metadata.tiesOutput(default: !metadata.isGGUF)
    var layer = sizes.layer()
    try metadata.rotaryPositions(sizes, layout: .interleaved, base: 500_000).apply(to: &layer)
    configuration = sizes.configuration(metadata.architecture, layers: Array(repeating: layer, count: sizes.layers))
  }

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    let y = graph.sum(x, graph.selfAttention(graph.norm(x, "attn_norm"), configuration.layers[index]))
    return graph.sum(y, graph.gatedFeedForward(graph.norm(y, "ffn_norm"), .silu, rows: sizes.feedForward))
  }
}
