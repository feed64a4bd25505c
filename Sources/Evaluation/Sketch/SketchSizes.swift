import KVCaches

/// What the sketch of the theorem takes for heads of some dimensions and logits of some size, where recovered entries are 8,
/// streams a million tokens long, and values as wide as keys.
package enum SketchSizes {
  package struct Row: Sendable {
    package let dim: Int
    /// The largest |logit|.
    package let bound: Double
    /// The least degree with a relative error of at most 1 / `tokens`.
    package let degree: Int
    /// nil beyond 2^24.
    package let features: Int?
    package let storedNumbers: Int?

    /// The first length of a stream whose queries, keys and values are more numbers than the sketch.
    package var leastTokens: Int? { storedNumbers.map { $0 / (3 * dim) + 1 } }
  }

  package static let tokens = 1_000_000
  package static let kept = 8

  package static func rows(dims: [Int] = [2, 3, 4, 8, 64], bounds: [Double] = [0.5, 1, 2, 4, 8]) -> [Row] {
    let polynomials = bounds.map { bound in
      guard let polynomial = ExponentialPolynomial.least(bound: bound, relativeError: 1 / Double(tokens)) else {
        preconditionFailure("logits that no polynomial bears")
      }
      return (bound, polynomial)
    }
    return dims.flatMap { dim in
      polynomials.map { bound, polynomial in
        let size = SketchSize(dim: dim, bound: bound, kept: kept, tokens: tokens, polynomial: polynomial)
        return Row(
          dim: dim, bound: bound, degree: polynomial.degree, features: size?.features,
          storedNumbers: size?.storedNumbers(valueDim: dim, projection: nil))
      }
    }
  }
}
