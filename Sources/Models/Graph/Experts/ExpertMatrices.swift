import Kernels

/// The matrices of a layer's experts, packed one by one.
final class ExpertMatrices: Sendable {
  private let matrices: [PackedMatrix]
  private let segments: [Buffer<LinearSegment>]
  private let vectors: [Buffer<Float>]
  private let used: Int
  private let count: Int
  /// What instructions point to, `[1]`.
  let layer: Buffer<ExpertLayer>

  init(_ experts: Experts, columns: Int, layer: Int, _ source: TensorSource) throws {
    var (matrices, vectors): ([PackedMatrix], [Buffer<Float>]) = ([], [])
    func keep(_ packed: [PackedMatrix]) -> Buffer<LinearSegment> {
      let segments = Buffer<LinearSegment>(count: packed.count)
      for (index, matrix) in packed.enumerated() { segments[index] = LinearSegment(matrix) }
      matrices += packed
      return segments
    }
    func vector(_ stem: String, _ part: String, count: Int) throws -> UnsafePointer<Float>? {
      guard let vector = try source.expertVector(stem, part, count: count, layer: layer) else { return nil }
      vectors.append(vector)
      return UnsafePointer(vector.pointer)
    }
    let inner = experts.feedForward
    let stored = try source.experts(count: experts.count, inner: inner, columns: columns, layer: layer)
    let (gates, ups, downs) = (keep(stored.gates), keep(stored.ups), keep(stored.downs))
    let gateBiases = try vector("ffn_gate_exps", "bias", count: experts.count * inner)
    let upBiases = try vector("ffn_up_exps", "bias", count: experts.count * inner)
    let downBiases = try vector("ffn_down_exps", "bias", count: experts.count * columns)
    let selection = experts.hasSelectionBias ? try vector("exp_probs_b", "bias", count: experts.count) : nil
    let scales = experts.hasScales ? try vector("ffn_down_exps", "scale", count: experts.count) : nil
    self.layer = Buffer(count: 1)
    self.layer[0] = ExpertLayer(
      count: experts.count, used: experts.used, feedForward: inner, activation: experts.activation,
      usesSigmoid: experts.scoring == .sigmoid, normalizes: experts.normalizes, scale: experts.scale,
      gates: UnsafePointer(gates.pointer), ups: UnsafePointer(ups.pointer), downs: UnsafePointer(downs.pointer),
      gateBiases: gateBiases, upBiases: upBiases, downBiases: downBiases, selectionBias: selection, scales: scales)
    (self.matrices, self.vectors, segments) = (matrices, vectors, [gates, ups, downs])
    (used, count) = (experts.used, experts.count)
  }

  /// Of all experts.
  var bytes: Int { matrices.reduce(0) { $0 + $1.bytes } }

  /// Of the experts that one token meets.
  var bytesPerToken: Int { bytes / count * used }

  /// Weights by their type that one token meets.
  var weightsPerToken: [ElementType: Int] {
    matrices.reduce(into: [:]) { $0[$1.type, default: 0] += $1.rows * $1.columns * used / count }
  }
}
