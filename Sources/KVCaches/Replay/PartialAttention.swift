package import Kernels

/// The result of attending to a part of the keys: all that is needed to join it with the other parts, exactly.
///
/// For each row (a query) the largest logit m, the sum l of exp(logit − m), and the sum o of exp(logit − m) × value.
/// `merge` is associative and commutative, and the empty partial is (−∞, 0, 0): sinks, windows, local and remote shards
/// all meet here. A learned sink logit is a partial (logit, 1, 0).
package final class PartialAttention {
  package let rows: Int
  package let headDim: Int
  /// `[row]`
  package let maximum: Buffer<Float>
  /// `[row]`
  package let sum: Buffer<Float>
  /// `[row, headDim]`
  package let output: Buffer<Float>

  /// Empty partials.
  package init(rows: Int, headDim: Int) {
    self.rows = rows
    self.headDim = headDim
    maximum = Buffer(count: rows)
    sum = Buffer(count: rows)
    output = Buffer(count: rows * headDim)
    reset(rows: 0..<rows)
  }

  /// The rows from `first` on, as kernels take them.
  package func rows(from first: Int) -> PartialRows {
    PartialRows(
      max: maximum.pointer + first, sum: sum.pointer + first, out: output.pointer + first * headDim, stride: headDim)
  }

  /// Gives an empty row a learned sink logit, which has a weight and no value; -infinity leaves it empty.
  package func add(sinkLogit: Float, row: Int) {
    assert(sum.pointer[row] == 0, "only an empty row takes a sink logit")
    maximum.pointer[row] = sinkLogit
    sum.pointer[row] = sinkLogit == -.infinity ? 0 : 1
  }

  /// Makes rows empty.
  package func reset(rows range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows)
    (maximum.pointer + range.lowerBound).update(repeating: -.infinity, count: range.count)
    (sum.pointer + range.lowerBound).update(repeating: 0, count: range.count)
    (output.pointer + range.lowerBound * headDim).update(repeating: 0, count: range.count * headDim)
  }

  /// Joins the first `rows` rows of another partial into this one.
  package func merge(_ other: PartialAttention, rows: Int, kernels: InstructionSet) {
    precondition(rows <= self.rows && rows <= other.rows && headDim == other.headDim)
    kernels.merge(
      rows: rows, headDim: headDim, maxA: maximum.pointer, sumA: sum.pointer, outA: output.pointer,
      maxB: other.maximum.pointer, sumB: other.sum.pointer, outB: other.output.pointer)
  }

  /// Divides the first `rows` rows by their sums; the output of a row that saw nothing is zero.
  package func finish(rows: Int, kernels: InstructionSet) {
    precondition(rows <= self.rows)
    kernels.finish(rows: rows, headDim: headDim, sum: sum.pointer, out: output.pointer)
  }
}
