import Kernels

/// One matrix of the model with its optional bias.
struct Linear: Sendable {
  /// `[row, column]`
  let matrix: PackedMatrix
  /// `[row]`
  let bias: Buffer<Float>?
}

/// Matrices that read the same input, multiplied in one go of the worker team.
struct LinearGroup: Sendable {
  let linears: [Linear]

  init(_ linears: [Linear]) { self.linears = linears }

  var bytes: Int { linears.reduce(0) { $0 + $1.matrix.bytes } }
}
