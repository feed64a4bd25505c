import KVCaches

/// The sizes of a one-pass sketch by the rules of its theorem: from what is promised, before the first token comes.
package struct SketchSize: Sendable {
  package let dim: Int
  /// The largest |logit| that is allowed.
  package let bound: Double
  /// Entries of a column that are recovered.
  package let kept: Int
  package let polynomial: ExponentialPolynomial
  /// The largest relative error of the polynomial.
  package let relativeError: Double
  package let rows: Int
  package let buckets: Int
  /// Features of a key.
  package let features: Int

  /// Recovery may add so many times the best possible error.
  package static let excess = 1.0

  /// - Parameters:
  ///   - tokens: the longest stream, for which the rows are enough
  ///   - polynomial: stands for e^x up to `bound`
  /// - Returns: nil where its features are more than 2^24
  package init?(dim: Int, bound: Double, kept: Int, tokens: Int, polynomial: ExponentialPolynomial) {
    guard let features = MonomialTable.count(variables: dim, degree: polynomial.degree) else { return nil }
    self.dim = dim
    self.bound = bound
    self.kept = kept
    self.polynomial = polynomial
    self.features = features
    relativeError = polynomial.largestRelativeError(bound: bound)
    rows = SparseRecovery.safeRows(entries: tokens)
    buckets = SparseRecovery.safeBuckets(keeping: kept, excess: Self.excess)
  }

  /// The size with the polynomial of the least degree whose relative error is at most 1 / `tokens`.
  ///
  /// - Returns: nil where there is none, or its features are more than 2^24
  package init?(dim: Int, bound: Double, kept: Int, tokens: Int) {
    guard let polynomial = ExponentialPolynomial.least(bound: bound, relativeError: 1 / Double(tokens))
    else { return nil }
    self.init(dim: dim, bound: bound, kept: kept, tokens: tokens, polynomial: polynomial)
  }

  /// Numbers in the sketch: z, the sketch of queries, and what is kept of keys and values.
  ///
  /// - Parameter projection: rows of the projection, nil for none
  package func storedNumbers(valueDim: Int, projection: Int?) -> Int {
    features * (1 + rows * buckets) + (projection.map { $0 * (features + valueDim) } ?? features * valueDim)
  }

  /// An empty sketch of this size.
  package func sketch(valueDim: Int, projection: TokenProjection?, hashSeed: UInt64) -> OnePassSketch {
    OnePassSketch(
      features: SketchFeatures(dim: dim, polynomial: polynomial), valueDim: valueDim,
      recovery: SparseRecovery(rows: rows, buckets: buckets, seed: hashSeed), projection: projection)
  }

  /// What no output leaves where every weight has at most this relative error, a multiple of the largest |entry of a value|.
  ///
  /// The true weights are changed by factors between (1 − ε) / (1 + ε) and (1 + ε) / (1 − ε), so their sum of absolute changes is
  /// at most 2 ε / (1 − ε).
  package static func outputBound(relativeError: Double) -> Double {
    relativeError < 1 ? 2 * relativeError / (1 - relativeError) : .infinity
  }
}
