/// How well polynomials of some degrees stand for e^x, and what that does to attention.
package enum PolynomialDegrees {
  package struct Row: Sendable {
    /// The largest |logit|.
    package let bound: Double
    package let degree: Int
    /// The largest relative errors of three polynomials.
    package let taylor, chebyshev, minimax: Double
    /// The largest error of an output entry, with the last of them.
    package let outputError: Double
    /// What that error cannot exceed.
    package let outputBound: Double
  }

  /// One row for each bound and degree, of heads with 4 dimensions.
  package static func rows(
    bounds: [Double] = [1, 2, 4], degrees: [Int] = [2, 4, 6, 8, 12], tokens: Int = 2000
  ) -> [Row] {
    bounds.flatMap { bound in
      let instance = SketchInstance(
        .independent, tokens: tokens, dim: 4, valueDim: 8, bound: bound, hot: nil, seed: 1)
      let attention = instance.attention(of: 0..<tokens)
      return degrees.map { degree in
        let minimax = ExponentialPolynomial.minimax(degree: degree, bound: bound)
        let error = minimax.largestRelativeError(bound: bound)
        return Row(
          bound: bound, degree: degree,
          taylor: ExponentialPolynomial.taylor(degree: degree).largestRelativeError(bound: bound),
          chebyshev: ExponentialPolynomial.chebyshev(degree: degree, bound: bound).largestRelativeError(bound: bound),
          minimax: error, outputError: outputError(instance, attention, minimax),
          outputBound: SketchSize.outputBound(relativeError: error) * instance.valueBound)
      }
    }
  }

  /// The largest error of an output entry where a polynomial stands for the exponential, and nothing else is sketched.
  package static func outputError(
    _ instance: SketchInstance, _ attention: [[Double]], _ polynomial: ExponentialPolynomial
  ) -> Double {
    // Queries are not sketched here, so one bucket will do.
    var sketch = OnePassSketch(
      features: SketchFeatures(dim: instance.dim, polynomial: polynomial), valueDim: instance.valueDim,
      recovery: SparseRecovery(rows: 1, buckets: 1, seed: 0))
    for token in 0..<instance.tokens {
      sketch.append(key: instance.key(token), value: instance.value(token), position: token)
    }
    let product = sketch.product
    return attention.enumerated().reduce(0) { largest, row in
      let output = sketch.output(of: instance.query(row.offset), product: product)
      return zip(output, row.element).reduce(largest) { max($0, abs($1.0 - $1.1)) }
    }
  }
}
