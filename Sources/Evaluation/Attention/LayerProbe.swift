import KVCaches
import Kernels

/// Attention of a model that reads on under a bounded cache, while one of its layers is compared beside it.
///
/// The compared caches hold that layer alone and see queries and keys without positions. So a stream can be longer than
/// the model's trained length, and a full cache of it fits into memory.
final class LayerProbe: LayerAttention {
  private let layer: Int
  private let cache: KVCache
  private let attention: LocalAttention
  private let comparison: ComparingAttention
  /// What the compared layer's full cache makes of a step, which nobody asks for.
  private let output: Buffer<Float>

  /// - Parameters:
  ///   - layer: of the model
  ///   - cache: what the model reads under
  ///   - rows: the most tokens of a step
  init(
    layer: Int, of cache: KVCache, comparison: ComparingAttention, rows: Int, team: WorkerTeam, kernels: InstructionSet
  ) {
    let shape = cache.shape
    precondition((0..<shape.layers).contains(layer), "no such layer")
    self.layer = layer
    self.cache = cache
    self.comparison = comparison
    attention = LocalAttention(layers: cache.attention, team: team, kernels: kernels)
    output = Buffer(count: rows * shape.queryHeads * shape.headDim)
  }

  /// The sinks and the window under which the model reads.
  static let plan = KVCache.Plan {
    Sinks(4)
    Window(1020)
  }

  func admissibleChunk(_ wanted: Int) -> Int { cache.admissibleChunk(wanted) }

  /// Decides what the model's own cache does with a chunk; the compared ones have decided.
  func beginStep(tokens: Int) { attention.beginStep(cache, rows: tokens) }

  func begin(layer: Int, queries: UnsafePointer<Float>) {
    attention.begin(layer: layer, queries: queries)
    if layer == self.layer { comparison.begin(layer: 0, queries: queries) }
  }

  func finish(
    layer: Int, keys: UnsafePointer<Float>?, values: UnsafePointer<Float>?,
    output: UnsafeMutablePointer<Float>
  ) {
    attention.finish(layer: layer, keys: keys, values: values, output: output)
    guard layer == self.layer else { return }
    comparison.finish(layer: 0, keys: keys, values: values, output: self.output.pointer)
  }
}
