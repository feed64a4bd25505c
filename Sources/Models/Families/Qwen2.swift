import KVCaches
import Kernels

/// Qwen 1.5 to 2.5, and the DeepSeek-R1 models distilled into them.
///
/// A Llama with biases on queries, keys and values; some files have a window on their later layers.
struct Qwen2: ModelFamily {
  static let ggufName = "qwen2"
  static let names = TensorNames.usual

  let configuration: ModelConfiguration
  let norm: Norm
  let tiesOutput: Bool
  private let sizes: ModelSizes
  private let factors: [Float]?

  init(_ metadata: ModelMetadata) throws {
    sizes = try metadata.sizes()
    try metadata.require(.silu, "SiLU")
    norm = try metadata.rootMeanSquareNorm()
    tiesOutput = try metadata.tiesOutput()
    let positions = try metadata.rotaryPositions(sizes, layout: .halves, scalesQueries: true)
    var layer = sizes.layer()
    positions.apply(to: &layer)
    factors = positions.queryFactors(headDim: sizes.headDim)
    configuration = sizes.configuration(
      metadata.architecture, layers: try metadata.layersWithWindowsOfQwen(layer, count: sizes.layers))
  }

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    let attended = graph.selfAttention(graph.norm(x, "attn_norm"), configuration.layers[index], factors: factors)
    let y = graph.sum(x, attended)
    return graph.sum(y, graph.gatedFeedForward(graph.norm(y, "ffn_norm"), .silu, rows: sizes.feedForward))
  }
}

extension ModelMetadata {
  /// Which layers have experts, where any have: `[layer]`.
  func sparseLayersOfQwen(count: Int) throws -> [Bool] {
    let step = max(1, try integer(Key(huggingFace: "decoder_sparse_step"), default: 1))
    let dense = Set(try integers(ifPresent: Key(huggingFace: "mlp_only_layers")) ?? [])
    return (0..<count).map { !dense.contains($0) && ($0 + 1) % step == 0 }
  }

  /// Layers of which the later ones may have a window: a file says how wide, and whether it is meant at all.
  func layersWithWindowsOfQwen(_ layer: AttentionLayer, count: Int) throws -> [AttentionLayer] {
    let isMeant = try bool(ifPresent: Key(huggingFace: "use_sliding_window")) ?? false
    guard isMeant, let window = try window() else { return Array(repeating: layer, count: count) }
    let first = try integer(Key(huggingFace: "max_window_layers"), default: 28)
    let isWindowed =
      isList(Key(huggingFace: "layer_types"))
      ? try windowedLayers(count: count, standardPeriod: 1) : (0..<count).map { $0 >= first }
    return isWindowed.map { isWindowed in
      var layer = layer
      if isWindowed { layer.window = window }
      return layer
    }
  }
}
