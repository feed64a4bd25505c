import KVCaches
import Kernels

/// Gemma 1: one norm before attention, one before the feed-forward, no caps and no windows.
struct Gemma: ModelFamily {
  static let ggufName = "gemma"
  static let names = TensorNames.usual

  let configuration: ModelConfiguration
  let norm: Norm
  let tiesOutput = true
  private let sizes: ModelSizes

  private typealias Key = ModelMetadata.Key

  init(_ metadata: ModelMetadata) throws {
    sizes = try metadata.sizes()
    // Old files say "gelu" and mean the other one.
    if try metadata.activation(default: .geluTanh) != .geluErf { try metadata.require(.geluTanh, "GELU") }
    norm = try metadata.rootMeanSquareNorm(weightOffset: metadata.isGGUF ? 0 : 1)
    var layer = sizes.layer()
    try metadata.rotaryPositions(sizes, layout: .halves).apply(to: &layer)
    configuration = sizes.configuration(metadata.architecture, layers: Array(repeating: layer, count: sizes.layers))
  }

  var embeddingScale: Float? { Float(sizes.hidden).squareRoot() }

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    let y = graph.sum(x, graph.selfAttention(graph.norm(x, "attn_norm"), configuration.layers[index]))
    return graph.sum(y, graph.gatedFeedForward(graph.norm(y, "ffn_norm"), .geluTanh, rows: sizes.feedForward))
  }
}
