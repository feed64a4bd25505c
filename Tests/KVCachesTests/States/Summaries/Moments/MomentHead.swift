import CacheTestSupport
import Kernels
import TestSupport

@testable import KVCaches

/// One KV head of a moment summary, driven by hand.
struct MomentHead {
  let dim: Int
  let summary: MomentSummary
  private let scratch: Buffer<Float>
  private let kernels = InstructionSet.current

  init(_ specification: Moments, dim: Int) {
    self.dim = dim
    summary = MomentSummary(specification, StateSite(groupSize: 4, headDim: dim))
    scratch = Buffer(count: summary.scratchFloats(rows: 8))
  }

  func observe(_ keys: [[Float]]) {
    for key in keys { summary.observe(key: key, head: 0, scratch: scratch.pointer, kernels) }
  }

  func melt(_ keys: [[Float]], _ values: [[Float]]) {
    for (key, value) in zip(keys, values) {
      summary.melt(key: key, value: value, head: 0, scratch: scratch.pointer, kernels)
    }
  }

  /// What a row ends with: the logarithm of the sum of exp(logit), and the mean of values by those weights.
  struct Answer {
    var logSum: Double
    var output: [Double]
  }

  /// The partials of some queries, in batches of rows, joined with empty ones.
  func attend(_ queries: [[Float]], batch: Int = 4, share: WorkShare = .whole) -> [Answer] {
    stride(from: 0, to: queries.count, by: batch).flatMap { first in
      let rows = Array(queries[first..<min(first + batch, queries.count)])
      let partial = PartialAttention(rows: rows.count, headDim: dim)
      let flat = rows.flatMap { $0 }
      flat.withUnsafeBufferPointer {
        summary.attend(
          QueryRows($0.baseAddress!, stride: dim, count: rows.count, rowsPerToken: rows.count), head: 0, share: share,
          partial: partial.rows(from: 0), kernelScratch: scratch.pointer, scratch: scratch.pointer, kernels)
      }
      return rows.indices.map { row in
        let sum = Double(partial.sum[row])
        return Answer(
          logSum: Double(partial.maximum[row]) + sum.logarithm,
          output: (0..<dim).map { Double(partial.output[row * dim + $0]) / sum })
      }
    }
  }
}
