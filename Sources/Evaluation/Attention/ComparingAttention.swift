import KVCaches
import Kernels

/// Attention over a full cache, whose output the model goes on with, and over another cache beside it.
///
/// Both get the same queries, keys and values, so that what is compared in a layer is that layer's error alone: those of
/// the layers before have not added up in it.
final class ComparingAttention: LayerAttention {
  let full: KVCache
  let cache: KVCache
  private let reference: LocalAttention
  private let subject: LocalAttention
  private let kernels: InstructionSet
  private let shape: KVCache.Shape
  /// What the other cache makes of the step, `[token, query head, headDim]`.
  private let output: Buffer<Float>
  private var queries: UnsafePointer<Float>?
  /// Whether the full cache only takes tokens in, and the model goes on with something else.
  private let onlyStores: Bool
  private var tokens = 0
  private var isMeasured = false
  private var isSpread = false
  /// Clusters in which the geometry of keys is measured, nil where nobody asks for it.
  private let clusters: Int?
  /// Within which distance keys make a cluster, nil where those are not counted.
  private let delta: Double?
  /// How keys and values lay at the last spread step, `[layer][KV head]`.
  private(set) var geometry: [[HeadGeometry]] = []

  /// Relative errors of the one token of the last measured step.
  private(set) var errors: TokenErrors
  /// How the last spread step's token attends to all tokens, `[layer][KV head][token]`.
  private(set) var probabilities: [[[Float]]]

  /// - Parameters:
  ///   - rows: the most tokens of a step
  ///   - onlyStores: whether the full cache attends in measured steps alone
  init(
    full: KVCache, cache: KVCache, rows: Int, clusters: Int?, delta: Double? = nil, onlyStores: Bool = false,
    team: WorkerTeam,
    kernels: InstructionSet
  ) {
    (self.clusters, self.delta) = (clusters, delta)
    self.onlyStores = onlyStores
    precondition(full.plan == .full && full.shape == cache.shape, "two caches of one model")
    self.full = full
    self.cache = cache
    self.kernels = kernels
    shape = full.shape
    reference = LocalAttention(layers: full.attention, team: team, kernels: kernels)
    subject = LocalAttention(layers: cache.attention, team: team, kernels: kernels)
    output = Buffer(count: rows * shape.queryHeads * shape.headDim)
    errors = TokenErrors(shape)
    probabilities = Array(repeating: [], count: shape.layers)
  }

  /// Decides what both caches do with a chunk.
  func beginStep(tokens: Int) { beginStep(tokens: tokens, isMeasured: false, isSpread: false) }

  private func beginStep(tokens: Int, isMeasured: Bool, isSpread: Bool) {
    (self.tokens, self.isMeasured, self.isSpread) = (tokens, isMeasured, isSpread)
    if attendsFully { reference.beginStep(full, rows: tokens) }
    subject.beginStep(cache, rows: tokens)
  }

  private var attendsFully: Bool { isMeasured || !onlyStores }

  /// Decides what both caches do with a single token, and compares what they make of it.
  ///
  /// - Parameter isSpread: whether its probabilities are wanted, too
  func beginMeasuredStep(isSpread: Bool) { beginStep(tokens: 1, isMeasured: true, isSpread: isSpread) }

  func begin(layer: Int, queries: UnsafePointer<Float>) {
    self.queries = queries
    if attendsFully { reference.begin(layer: layer, queries: queries) }
    subject.begin(layer: layer, queries: queries)
  }

  func finish(
    layer: Int, keys: UnsafePointer<Float>?, values: UnsafePointer<Float>?,
    output: UnsafeMutablePointer<Float>
  ) {
    guard let queries else { preconditionFailure("finish without begin") }
    if attendsFully {
      reference.finish(layer: layer, keys: keys, values: values, output: output)
    } else if let keys, let values {
      full.append(keys: keys, values: values, tokens: tokens, kernels: kernels)
    }
    subject.finish(layer: layer, keys: keys, values: values, output: self.output.pointer)
    if isMeasured { errors.measure(layer: layer, self.output.pointer, against: output, headDim: shape.headDim) }
    guard isSpread else { return }
    probabilities[layer] = full.probabilities(layer: layer, queries: queries, kernels: kernels)
    guard let clusters else { return }
    if layer == 0 { geometry = [] }
    geometry.append(
      full.geometry(layer: layer, queries: queries, clusters: clusters, delta: delta, kernels: kernels))
  }
}

/// How far the attention outputs of one token are from those of a full cache: |difference| / |output|.
struct TokenErrors {
  /// Over all heads of a layer together, `[layer]`.
  private(set) var layers: [Double]
  /// `[layer][query head]`
  private(set) var heads: [[Double]]

  init(_ shape: KVCache.Shape) {
    layers = Array(repeating: 0, count: shape.layers)
    heads = Array(repeating: Array(repeating: 0, count: shape.queryHeads), count: shape.layers)
  }

  /// Takes in one layer's outputs, `[query head, headDim]`.
  mutating func measure(
    layer: Int, _ output: UnsafePointer<Float>, against expected: UnsafePointer<Float>, headDim: Int
  ) {
    var (difference, norm) = (0.0, 0.0)
    for head in heads[layer].indices {
      var (headDifference, headNorm) = (0.0, 0.0)
      for index in head * headDim..<(head + 1) * headDim {
        let (value, wanted) = (Double(output[index]), Double(expected[index]))
        headDifference += (value - wanted) * (value - wanted)
        headNorm += wanted * wanted
      }
      heads[layer][head] = Self.ratio(headDifference, headNorm)
      difference += headDifference
      norm += headNorm
    }
    layers[layer] = Self.ratio(difference, norm)
  }

  /// The root of a ratio of squares; nothing is right only beside nothing, whose error would have no bound.
  private static func ratio(_ difference: Double, _ norm: Double) -> Double {
    norm == 0 ? (difference == 0 ? 0 : 1) : (difference / norm).squareRoot()
  }
}
