import Kernels

/// The two factors of what adapters add to one matrix, in float: up × down.
struct LowRankFactors: Sendable {
  /// The ranks of all adapters together.
  let rank: Int
  /// `[rank, column]`, the A of papers.
  let down: [Float]
  /// `[row, rank]`, the B of papers, times the adapter's scale.
  let up: [Float]

  /// The sum of what several adapters add to a matrix of `rows` rows, as one pair of factors; nil for none.
  init?(sumOf parts: [LowRankFactors], rows: Int) {
    guard !parts.isEmpty else { return nil }
    rank = parts.reduce(0) { $0 + $1.rank }
    down = parts.flatMap(\.down)
    up = (0..<rows).flatMap { row in parts.flatMap { $0.up[row * $0.rank..<(row + 1) * $0.rank] } }
  }

  init(rank: Int, down: [Float], up: [Float]) {
    self.rank = rank
    self.down = down
    self.up = up
  }
}

/// What adapters add to the matrices of a group: y += up · (down · x), beside the products with the matrices themselves.
///
/// A base matrix is never dequantised or written to. The `down` factors of all matrices and adapters lie in one matrix, so
/// that one product serves the group; each matrix has an `up` for all adapters.
struct LowRankGroup: Sendable {
  /// The second factor for one matrix of the group.
  struct Up: Sendable {
    /// Which matrix of the group.
    let index: Int
    /// `[row, rank]`
    let matrix: PackedMatrix
    /// Where its inputs begin among the products of `down`.
    let offset: Int
  }

  /// The most matrices of a group.
  static let mostMatrices = 3

  /// `[sum of ranks, column]`
  let down: PackedMatrix
  let ups: [Up]

  /// Nil where no adapter touches the group.
  init?(_ linears: [Linear]) {
    var down: [Float] = []
    var ups: [Up] = []
    var rank = 0
    for (index, linear) in linears.enumerated() {
      guard let factors = linear.factors else { continue }
      ups.append(
        Up(
          index: index,
          matrix: PackedMatrix.packing(factors.up, rows: linear.matrix.rows, columns: factors.rank), offset: rank))
      down += factors.down
      rank += factors.rank
    }
    guard !ups.isEmpty else { return nil }
    self.down = PackedMatrix.packing(down, rows: rank, columns: linears[0].matrix.columns)
    self.ups = ups
  }

  /// The sum of ranks.
  var rank: Int { down.rows }
}
