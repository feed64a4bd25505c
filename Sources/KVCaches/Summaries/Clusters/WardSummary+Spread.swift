import Kernels

/// What the spread of a cluster's keys adds to its logits.
///
/// Of keys about a centroid c the mean of e^⟨q,k⟩ is e^⟨q,c⟩ (1 + qᵀ Cov q / 2 + …), as q comes scaled by 1 / sqrt(headDim). Half
/// of Σ_j q_j² var_j goes to the logit: of keys that are normally distributed with independent dimensions, all there is. It
/// differs from query to query, so it is computed beside the logits, as a product of squared queries with panels of
/// variances.
extension WardSummary {
  /// The most that spread adds to a logit: far from the centroid the second order says little.
  private static var largestSpread: Float { 4 }
  /// Rows that are computed at once.
  private static var rowsAtOnce: Int { 32 }

  /// Scratch of `attend(to:spread:…)`; heads have so many slots.
  func spreadScratchFloats(rows: Int, slots: Int) -> Int {
    min(rows, max(Self.rowsAtOnce, shape.queryHeads / shape.keyValueHeads)) * (shape.headDim + slots)
  }

  /// Attends to the clusters of a run with what their spread adds, continuing the partial.
  ///
  /// - Parameters:
  ///   - variances: as keys, a slot for each cluster.
  ///   - logCounts: `[slot]`, added to the logits; nil for nothing.
  ///   - scratch: `spreadScratchFloats(rows:slots:)` floats.
  func attend(
    to clusters: SlotStorage, spread variances: SlotStorage, run: Range<Int>, _ queries: QueryRows,
    partial: PartialRows, logCounts: UnsafePointer<Float>?, kernelScratch: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) {
    let dim = shape.headDim
    let step = max(1, Self.rowsAtOnce / queries.rowsPerToken) * queries.rowsPerToken
    let variances = variances.droppingPanels(of: run.lowerBound)
    let squares = scratch  // [row, headDim]
    let logWeights = squares + min(step, queries.count) * dim  // [row, slot]
    for first in stride(from: 0, to: queries.count, by: step) {
      let rows = QueryRows(
        queries.queries + first * queries.stride, stride: queries.stride, count: min(step, queries.count - first),
        rowsPerToken: queries.rowsPerToken)
      for row in 0..<rows.count {
        let query = rows.queries + row * rows.stride
        for index in 0..<dim { squares[row * dim + index] = query[index] * query[index] / 2 }
      }
      kernels.products(
        of: squares, count: rows.count, with: variances, slots: run.count, out: logWeights + run.lowerBound,
        outStride: clusters.slots)
      for row in 0..<rows.count {
        let weights = logWeights + row * clusters.slots + run.lowerBound
        for index in 0..<run.count { weights[index] = min(Self.largestSpread, weights[index]) }
        if let logCounts { kernels.add(logCounts + run.lowerBound, to: weights, count: run.count) }
      }
      kernels.attend(
        clusters, run: run, queries: rows,
        partial: PartialRows(
          max: partial.max + first, sum: partial.sum + first, out: partial.out + first * partial.stride,
          stride: partial.stride),
        logWeights: logWeights, logWeightStride: clusters.slots, scratch: kernelScratch)
    }
  }
}
