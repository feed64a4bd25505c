/// Linear least squares by Householder reflections, which lose no more digits than the problem itself does.
enum LeastSquares {
  /// The x with the smallest |A x − b|; entries of x that A does not determine are 0.
  ///
  /// - Parameters:
  ///   - matrix: A, `[column, row]`, with at least as many rows as columns
  ///   - target: b, `[row]`
  static func solve(_ matrix: [Double], rows: Int, columns: Int, _ target: [Double]) -> [Double] {
    precondition(matrix.count == rows * columns && target.count == rows && rows >= columns && columns >= 1)
    var matrix = matrix
    var target = target
    var diagonal = [Double](repeating: 0, count: columns)
    matrix.withUnsafeMutableBufferPointer { a in
      target.withUnsafeMutableBufferPointer { b in
        for column in 0..<columns {
          let pivot = column * rows
          let norm = (column..<rows).reduce(0) { $0 + a[pivot + $1] * a[pivot + $1] }.squareRoot()
          guard norm > 0 else { continue }
          diagonal[column] = a[pivot + column] > 0 ? -norm : norm
          a[pivot + column] -= diagonal[column]
          let scale = 1 / (diagonal[column] * a[pivot + column])
          for other in column + 1..<columns + 1 {
            let vector =
              other < columns ? UnsafeMutableBufferPointer(rebasing: a[(other * rows)..<(other + 1) * rows]) : b
            var product = 0.0
            for row in column..<rows { product += a[pivot + row] * vector[row] }
            product *= scale
            for row in column..<rows { vector[row] += product * a[pivot + row] }
          }
        }
      }
    }
    var solution = [Double](repeating: 0, count: columns)
    for column in (0..<columns).reversed() where diagonal[column] != 0 {
      var value = target[column]
      for other in column + 1..<max(columns, column + 1) { value -= matrix[other * rows + column] * solution[other] }
      solution[column] = value / diagonal[column]
    }
    return solution
  }
}
