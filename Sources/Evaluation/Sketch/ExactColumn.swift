/// One column of exact attention over all queries, and the norms that say what a projection may do to it, in steps linear
/// in the tokens.
///
/// Attention of n queries to n keys takes n² exponentials. Here a polynomial within 1e-10 of e^x stands for it, so sums over
/// keys are sums of features, as in the sketch but of a higher degree: outputs are those of direct sums to ten digits of the
/// largest value.
package struct ExactColumn: Sendable {
  /// `[query]`
  package let outputs: [Double]
  /// |P|, the root of the sum of all squared attention weights.
  package let weightNorm: Double
  /// |V|, the Euclidean length of the column of values.
  package let valueNorm: Double

  /// - Precondition: the bound of the instance is at most 4, which Float64 bears.
  package init(_ instance: SketchInstance, column: Int) {
    precondition((0..<instance.valueDim).contains(column), "a column that is not there")
    let bound = instance.bound
    guard let polynomial = ExponentialPolynomial.least(bound: bound, relativeError: 1e-10) else {
      preconditionFailure("logits that are too large")
    }
    // e^(2x), good enough for a bound.
    let double = ExponentialPolynomial.minimax(degree: polynomial.degree, bound: 2 * bound).coefficients
    let squared = ExponentialPolynomial(
      coefficients: double.enumerated().map { $1 * Double(1 << $0) })
    let features = SketchFeatures(dim: instance.dim, polynomial: polynomial)
    var sums = [Double](repeating: 0, count: features.count)
    var products = sums
    var valueSquares = 0.0
    for token in 0..<instance.tokens {
      let value = instance.value(token)[column]
      valueSquares += value * value
      let key = features.key(instance.key(token))
      for index in key.indices {
        sums[index] += key[index]
        products[index] += key[index] * value
      }
    }
    valueNorm = valueSquares.squareRoot()

    let squareWeights = SketchFeatures(dim: instance.dim, polynomial: squared).weights
    let squareSums = zip(sums, squareWeights).map { $0 * $1 }
    for index in sums.indices {
      sums[index] *= features.weights[index]
      products[index] *= features.weights[index]
    }
    var weightSquares = 0.0
    outputs = (0..<instance.tokens).map { token in
      let query = features.key(instance.query(token))
      var (sum, squares, output) = (0.0, 0.0, 0.0)
      for index in query.indices {
        sum += query[index] * sums[index]
        squares += query[index] * squareSums[index]
        output += query[index] * products[index]
      }
      weightSquares += squares / (sum * sum)
      return output / sum
    }
    weightNorm = weightSquares.squareRoot()
  }
}
