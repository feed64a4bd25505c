import Kernels

/// One matrix of the model with its optional bias.
struct Linear: Sendable {
  /// `[row, column]`
  let matrix: PackedMatrix
  /// `[row]`
  let bias: Buffer<Float>?
  /// What the adapters add to the matrix; nil where they leave it alone.
  var factors: LowRankFactors?
}

/// Matrices that read the same input, multiplied in one go of the worker team, with what adapters add to them.
struct LinearGroup: Sendable {
  let linears: [Linear]
  let lowRank: LowRankGroup?

  /// - Precondition: there are one to three matrices.
  init(_ linears: [Linear]) {
    precondition((1...LowRankGroup.mostMatrices).contains(linears.count), "a group has one to three matrices")
    lowRank = LowRankGroup(linears)
    self.linears = linears.map { Linear(matrix: $0.matrix, bias: $0.bias) }
  }

  /// The matrices and, after them, those of the adapters.
  var matrices: [PackedMatrix] {
    linears.map(\.matrix) + (lowRank.map { [$0.down] + $0.ups.map(\.matrix) } ?? [])
  }

  var bytes: Int { matrices.reduce(0) { $0 + $1.bytes } }
}
