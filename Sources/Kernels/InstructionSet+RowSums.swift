import CKernels

/// Products with small float matrices that change too often to be packed, stored row by row.
extension InstructionSet {
  /// Writes the sums of a matrix's rows, each row times its weight: a matrix product of the weights with the matrix.
  ///
  /// - Parameters:
  ///   - matrix: `[count, columns]`
  ///   - weights: `[sum, count]`, `weightStride` floats between sums.
  ///   - out: `[sum, columns]`, `outStride` floats between sums.
  package func sumRows(
    of matrix: UnsafePointer<Float>, count: Int, columns: Int, weights: UnsafePointer<Float>, weightStride: Int,
    sums: Int, out: UnsafeMutablePointer<Float>, outStride: Int
  ) {
    precondition(count >= 0 && columns > 0 && sums >= 0 && outStride >= columns, "rows must not overlap")
    kernels.pointee.sum_rows(Int32(count), columns, matrix, Int32(sums), weights, weightStride, out, outStride)
  }

  /// Adds to each of a matrix's rows a multiple of one row: `matrix[t] += weights[t] × row`.
  ///
  /// - Parameter matrix: `[count, columns]`
  package func add(
    _ row: UnsafePointer<Float>, times weights: UnsafePointer<Float>, toRowsOf matrix: UnsafeMutablePointer<Float>,
    count: Int, columns: Int
  ) {
    precondition(count >= 0 && columns > 0, "a matrix has columns")
    kernels.pointee.add_to_rows(Int32(count), columns, row, weights, matrix)
  }
}
