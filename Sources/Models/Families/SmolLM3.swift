import KVCaches
import Kernels

/// SmolLM 3.
///
/// A Llama in which every fourth layer knows no positions.
struct SmolLM3: ModelFamily {
  static let ggufName = "smollm3"
  static let interleavesInGGUF = true
  static let names = TensorNames.usual

  let configuration: ModelConfiguration
  let norm: Norm
  let tiesOutput: Bool
  private let sizes: ModelSizes

  private typealias Key = ModelMetadata.Key

  init(_ metadata: ModelMetadata) throws {
    sizes = try metadata.sizes()
    try metadata.require(.silu, "SiLU")
    norm = try metadata.rootMeanSquareNorm()
    tiesOutput = try metadata.tiesOutput(default: !metadata.isGGUF)
    var rotated = sizes.layer()
    try metadata.rotaryPositions(sizes, layout: metadata.isGGUF ? .interleaved : .halves, base: 2_000_000)
      .apply(to: &rotated)
    // A 1 stands for a layer that turns. GGUF has no key for it.
    let interval = try metadata.integer(Key(huggingFace: "no_rope_layer_interval"), default: 4)
    guard interval > 0 else { throw metadata.bad("no_rope_layer_interval", "must be positive, not \(interval)") }
    let flags = try metadata.integers(ifPresent: Key(huggingFace: "no_rope_layers"))
    let turns = flags.map { $0.map { $0 != 0 } } ?? (0..<sizes.layers).map { ($0 + 1) % interval != 0 }
    guard turns.count == sizes.layers else {
      throw metadata.bad("no_rope_layers", "names \(turns.count) layers, but there are \(sizes.layers)")
    }
    let plain = sizes.layer()
    configuration = sizes.configuration(metadata.architecture, layers: turns.map { $0 ? rotated : plain })
  }

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    let y = graph.sum(x, graph.selfAttention(graph.norm(x, "attn_norm"), configuration.layers[index]))
    return graph.sum(y, graph.gatedFeedForward(graph.norm(y, "ffn_norm"), .silu, rows: sizes.feedForward))
  }
}
