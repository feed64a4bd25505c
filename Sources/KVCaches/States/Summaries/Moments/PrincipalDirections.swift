/// The directions in which vectors differ most, by orthogonal iteration.
///
/// A polynomial of all products of the projected variables does not depend on which basis of the subspace they come from, so
/// the subspace is enough and eigenvectors need not be told apart. That costs dim² · rank steps an iteration, where a full
/// decomposition of all layers and heads would hold up a stream for seconds.
enum PrincipalDirections {
  /// Doubles of scratch that `find` wants.
  static func scratchDoubles(dim: Int, rank: Int) -> Int { dim * dim + 2 * dim * rank }

  private static let iterations = 30

  /// Writes an orthonormal basis of the `rank` main directions to `out`, `[dim, rank]`.
  ///
  /// - Parameters:
  ///   - scratch: begins with the covariance, `[dim, dim]`.
  /// - Returns: The mean variance of the other directions, 0 without any.
  static func find(
    dim: Int, rank: Int, to out: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Double>
  ) -> Float {
    let covariance = scratch
    var basis = scratch + dim * dim
    var image = basis + dim * rank
    var trace = 0.0
    for index in 0..<dim { trace += covariance[index * dim + index] }
    // A little of everything, so that no direction of the basis ever vanishes.
    let floor = trace > 0 && trace.isFinite ? trace / Double(dim) * 1e-9 : 1
    for index in 0..<dim { covariance[index * dim + index] += floor }
    fill(basis, count: dim * rank)
    orthonormalise(basis, dim: dim, rank: rank)
    var kept = 0.0
    for _ in 0..<iterations {
      let before = kept
      kept = 0
      for row in 0..<dim {
        let target = image + row * rank
        target.update(repeating: 0, count: rank)
        for column in 0..<dim {
          let factor = covariance[row * dim + column]
          let source = basis + column * rank
          for index in 0..<rank { target[index] += factor * source[index] }
        }
        for index in 0..<rank { kept += target[index] * basis[row * rank + index] }
      }
      swap(&basis, &image)
      orthonormalise(basis, dim: dim, rank: rank)
      if kept - before <= 1e-7 * trace { break }
    }
    for index in 0..<dim * rank { out[index] = Float(basis[index]) }
    guard rank < dim, trace.isFinite else { return 0 }
    return Float(max(0, trace - kept) / Double(dim - rank))
  }

  /// Fixed numbers in (−1, 1) without any pattern that a covariance could have.
  private static func fill(_ values: UnsafeMutablePointer<Double>, count: Int) {
    var state: UInt64 = 1
    for index in 0..<count {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      values[index] = Double(Int64(bitPattern: state) >> 11) * 0x1p-52
    }
  }

  /// Gram-Schmidt, twice for each column, which is as orthogonal as Float64 can say.
  private static func orthonormalise(_ basis: UnsafeMutablePointer<Double>, dim: Int, rank: Int) {
    for column in 0..<rank {
      for _ in 0..<2 {
        for other in 0..<column {
          var product = 0.0
          for row in 0..<dim { product += basis[row * rank + other] * basis[row * rank + column] }
          for row in 0..<dim { basis[row * rank + column] -= product * basis[row * rank + other] }
        }
        var square = 0.0
        for row in 0..<dim { square += basis[row * rank + column] * basis[row * rank + column] }
        let scale = 1 / square.squareRoot()
        for row in 0..<dim { basis[row * rank + column] *= scale }
      }
    }
  }
}
