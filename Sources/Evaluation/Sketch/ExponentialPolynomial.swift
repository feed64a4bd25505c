import Foundation

/// A polynomial that stands for e^x on an interval around 0.
///
/// Softmax weights are relative to each other, so what counts is the relative error: where it is at most ε < 1, every weight
/// lies within a factor (1 + ε) / (1 − ε) of the true one.
package struct ExponentialPolynomial: Sendable, Hashable {
  /// Of x^0, x^1, …
  package let coefficients: [Double]

  package init(coefficients: [Double]) {
    precondition(!coefficients.isEmpty, "a polynomial has a constant")
    self.coefficients = coefficients
  }

  package var degree: Int { coefficients.count - 1 }

  /// The value at x.
  package func callAsFunction(_ x: Double) -> Double {
    coefficients.reversed().reduce(0) { $0 * x + $1 }
  }

  /// The series around 0. Positive everywhere where the degree is even; poor near −bound.
  package static func taylor(degree: Int) -> ExponentialPolynomial {
    var coefficients = [1.0]
    for power in 1..<max(degree + 1, 1) { coefficients.append(coefficients[power - 1] / Double(power)) }
    return ExponentialPolynomial(coefficients: coefficients)
  }

  /// The polynomial that meets e^x in the Chebyshev points of [−bound, bound]: nearly the smallest absolute error.
  package static func chebyshev(degree: Int, bound: Double) -> ExponentialPolynomial {
    let angles = (0...degree).map { (Double($0) + 0.5) * .pi / Double(degree + 1) }
    let values = angles.map { exp(bound * cos($0)) }
    let weights = (0...degree).map { order in
      let sum = zip(angles, values).reduce(0) { $0 + $1.1 * cos(Double(order) * $1.0) }
      return sum * (order == 0 ? 1 : 2) / Double(degree + 1)
    }
    return ExponentialPolynomial(chebyshevWeights: weights, bound: bound)
  }

  /// Nearly the smallest relative error on [−bound, bound], by Lawson's weighted least squares in Chebyshev polynomials.
  ///
  /// Weights grow where the error is large until it oscillates evenly. The weighted mean error never exceeds the smallest
  /// possible maximum, so the loop ends where the two are within half a per cent. For bounds up to 8 and degrees up to
  /// about 16; beyond that Float64 does not bear the conversion to powers.
  ///
  /// Source: Lawson 1961; Rice and Usow, "The Lawson Algorithm and Extensions", 1968.
  package static func minimax(degree: Int, bound: Double) -> ExponentialPolynomial {
    let count = 50 * (degree + 2)
    let points = (0..<count).map { cos((Double($0) + 0.5) * .pi / Double(count)) }
    let columns = degree + 1
    // T_j(point) e^(−x), a column each, [column, point].
    var basis: [Double] = []
    for order in 0..<columns {
      basis += points.map { point in cos(Double(order) * acos(point)) * exp(-bound * point) }
    }
    var weights = [Double](repeating: 1 / Double(count), count: count)
    var best: (error: Double, solution: [Double]) = (.infinity, [])
    for _ in 0..<200 {
      let roots = weights.map { $0.squareRoot() }
      var matrix = basis
      for index in matrix.indices { matrix[index] *= roots[index % count] }
      let solution = LeastSquares.solve(matrix, rows: count, columns: columns, roots)
      var residuals = [Double](repeating: 1, count: count)
      for column in 0..<columns {
        for point in 0..<count { residuals[point] -= solution[column] * basis[column * count + point] }
      }
      for point in 0..<count { residuals[point] = abs(residuals[point]) }
      let largest = residuals.max() ?? 0
      if largest < best.error { best = (largest, solution) }
      let mean = zip(weights, residuals).reduce(0) { $0 + $1.0 * $1.1 * $1.1 }.squareRoot()
      if largest <= mean * 1.005 { break }
      let total = zip(weights, residuals).reduce(0) { $0 + $1.0 * $1.1 }
      guard total > 0, total.isFinite else { break }
      for point in 0..<count { weights[point] *= residuals[point] / total }
    }
    return ExponentialPolynomial(chebyshevWeights: best.solution, bound: bound)
  }

  /// The polynomial of the least degree whose relative error on [−bound, bound] is at most this one; nil where no degree up
  /// to 24 has it.
  ///
  /// The degree grows like max(log(1/ε) / log(log(1/ε) / bound), bound), with constants that no source gives, so degrees are
  /// tried and measured.
  ///
  /// Source: Aggarwal and Alman, "Optimal-Degree Polynomial Approximations for Exponentials and Gaussian Kernel Density
  /// Estimation", 2022.
  package static func least(bound: Double, relativeError: Double) -> ExponentialPolynomial? {
    (0...24).lazy.map { minimax(degree: $0, bound: bound) }
      .first { $0.largestRelativeError(bound: bound) <= relativeError }
  }

  /// The largest |P(x) / e^x − 1| of x in [−bound, bound], on a fine grid that has both ends.
  package func largestRelativeError(bound: Double) -> Double {
    let steps = 4000
    return (0...steps).reduce(0) { largest, step in
      let x = bound * cos(Double(step) * .pi / Double(steps))
      return max(largest, abs(self(x) * exp(-x) - 1))
    }
  }

  /// The sum of `weights[j] T_j(x / bound)`, in powers of x.
  private init(chebyshevWeights weights: [Double], bound: Double) {
    var previous = [1.0]
    var current = [0, 1 / bound]
    var sum = [Double](repeating: 0, count: weights.count)
    for (order, weight) in weights.enumerated() {
      let polynomial = order == 0 ? previous : current
      for (power, coefficient) in polynomial.enumerated() { sum[power] += weight * coefficient }
      guard order > 0 else { continue }
      var next = [0] + current.map { 2 * $0 / bound }
      for (power, coefficient) in previous.enumerated() { next[power] -= coefficient }
      (previous, current) = (current, next)
    }
    self.init(coefficients: sum)
  }
}
