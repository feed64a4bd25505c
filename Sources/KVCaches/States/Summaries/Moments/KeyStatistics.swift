import Kernels

/// The running mean and covariance of the keys of one head, in memory that someone else owns (Welford 1962).
struct KeyStatistics {
  let dim: Int
  /// `[dim]`
  let mean: UnsafeMutablePointer<Float>
  /// Sums of products of deviations: the rows of the upper triangle, one after another.
  let products: UnsafeMutablePointer<Float>

  /// Floats of `products`.
  static func productFloats(dim: Int) -> Int { dim * (dim + 1) / 2 }

  /// Takes in a key, the `count`th.
  ///
  /// - Parameter scratch: `dim` floats
  func add(
    _ key: UnsafePointer<Float>, count: Int, scratch: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) {
    let share = 1 / Float(count)
    for index in 0..<dim { scratch[index] = key[index] - mean[index] }
    for index in 0..<dim { mean[index] += scratch[index] * share }
    var row = products
    for index in 0..<dim {
      var factor = scratch[index] * (1 - share)
      kernels.add(scratch + index, times: &factor, toRowsOf: row, count: 1, columns: dim - index)
      row += dim - index
    }
  }

  /// Writes the covariance of `count` keys, `[dim, dim]`; zeros for none.
  func covariance(count: Int, to out: UnsafeMutablePointer<Double>) {
    let share = count > 0 ? 1 / Double(count) : 0
    var next = products
    for row in 0..<dim {
      for column in row..<dim {
        out[row * dim + column] = Double(next.pointee) * share
        out[column * dim + row] = out[row * dim + column]
        next += 1
      }
    }
  }
}
