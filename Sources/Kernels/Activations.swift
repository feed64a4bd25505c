package import CKernels

/// How matrices meet activations.
package enum Arithmetic: Sendable {
  /// Weights are dequantised, everything is float32: the reference.
  case float32
  /// Quantised matrices meet int8 activations (one scale per 32 columns), BF16 matrices bf16 ones where the CPU can.
  case int8
}

/// Rows of activations [token, column] as floats and, for int8 arithmetic, as quants with a scale per 32 columns.
///
/// Allocated once for the largest batch; the decode loop reuses it.
package final class Activations: @unchecked Sendable {
  package let capacity: Int
  package let columns: Int
  package let values: Buffer<Float>  // [token, columns]
  private let quants: Buffer<Int8>  // [token, columns]
  private let scales: Buffer<Float>  // [token, columns / 32]
  private let sums: Buffer<Int32>  // [token, columns / 32, 2]

  /// True when int8 products are possible: whole blocks of 32 columns.
  package let isQuantizable: Bool

  package init(capacity: Int, columns: Int) {
    precondition(capacity > 0 && columns > 0 && columns <= Int32.max, "activations need a shape")
    self.capacity = capacity
    self.columns = columns
    isQuantizable = columns % 32 == 0
    values = Buffer(count: capacity * columns)
    quants = Buffer(count: isQuantizable ? capacity * columns : 0)
    scales = Buffer(count: isQuantizable ? capacity * columns / 32 : 0)
    sums = Buffer(count: isQuantizable ? capacity * columns / 16 : 0)
  }

  /// Row `token` of the floats.
  package subscript(token: Int) -> UnsafeMutablePointer<Float> {
    precondition(token >= 0 && token < capacity, "token out of range")
    return values.pointer + token * columns
  }

  /// Quantises the floats of the first `tokens` rows; call it after writing them and before an int8 product.
  package func quantize(tokens: Int, with instructions: InstructionSet = .current, team: WorkerTeam? = nil) {
    precondition(tokens >= 0 && tokens <= capacity && isQuantizable, "tokens out of range or columns not whole blocks")
    if let team, tokens > 1 {
      team.parallelFor(tokens) { quantizeRows($0, with: instructions) }
    } else {
      quantizeRows(0..<tokens, with: instructions)
    }
  }

  /// Quantises some rows, for callers that are already inside a team's body.
  package func quantizeRows(_ rows: Range<Int>, with instructions: InstructionSet) {
    precondition(rows.lowerBound >= 0 && rows.upperBound <= capacity && isQuantizable, "rows out of range")
    for row in rows {
      instructions.kernels.pointee.quantize(
        values.pointer + row * columns, Int32(columns), quants.pointer + row * columns,
        scales.pointer + row * columns / 32, sums.pointer + row * columns / 16)
    }
  }

  /// The rows as the C kernels see them.
  package var kernelView: sluice_activations {
    sluice_activations(
      values: values.pointer, stride: columns, quants: isQuantizable ? quants.pointer : nil,
      scales: isQuantizable ? scales.pointer : nil, sums: isQuantizable ? sums.pointer : nil, columns: Int32(columns))
  }
}
