import CLibrary
import Kernels

extension MomentSummary {
  /// The variance of logits up to which the polynomial is fitted; beyond it only overflow would follow.
  private static let largestVariance = 20.0

  /// The exponent up to which the spread of dropped directions counts.
  private static let largestResidual: Float = 4

  /// Attends to all that melted in a head, at least one token, continuing the partial.
  func attendToAll(
    _ queries: QueryRows, head: Int, partial: PartialRows, scratch: UnsafeMutablePointer<Float>,
    _ kernels: InstructionSet
  ) {
    let (dim, rows) = (headDim, queries.count)
    let variables = scratch  // [row, rank]
    let weights = variables + rows * rank  // [row, feature]
    let output = weights + rows * table.count  // [row, headDim]
    let exponents = output + rows * dim  // [row]
    let sums = exponents + rows  // [row]
    kernels.sumRows(
      of: directions(of: head), count: dim, columns: rank, weights: queries.queries, weightStride: queries.stride,
      sums: rows, out: variables, outStride: rank)
    let excess = Float(log(max(1, featureSums(of: head)[0] / largestCount)))
    for row in 0..<rows {
      let (exponent, sum) = weigh(variables + row * rank, head: head, into: weights + row * table.count)
      let offset = offset(of: queries.queries + row * queries.stride, variables + row * rank, head: head)
      (exponents[row], sums[row]) = (Float(exponent) + offset - excess, Float(sum))
    }
    kernels.sumRows(
      of: valueSums(of: head), count: table.count, columns: dim, weights: weights, weightStride: table.count,
      sums: rows,
      out: output, outStride: dim)
    for row in 0..<rows {
      join(exponent: exponents[row], sum: sums[row], output: output + row * dim, with: partial, row: row)
    }
  }

  /// Turns a projected query into what each feature counts.
  ///
  /// - Parameter weights: `[feature]`
  /// - Returns: The sum of exp(logit) over centred, projected tokens, as exp(exponent) × sum.
  private func weigh(
    _ variables: UnsafePointer<Float>, head: Int, into weights: UnsafeMutablePointer<Float>
  ) -> (exponent: Double, sum: Double) {
    let features = featureSums(of: head)
    table.evaluate(variables, into: weights)
    for index in 0..<table.count { weights[index] *= multiplicities.pointer[index] }
    let count = features[0]
    let mean = Self.product(weights, features, table.products(ofDegree: 1)) / count
    let square = Self.product(weights, features, table.products(ofDegree: 2)) / count
    let variance = min(max(0, square - mean * mean), Self.largestVariance)
    let polynomial = HermiteExponential(mean: mean, variance: variance)
    let sum = polynomial.constant * count + count * (polynomial.linear * mean + polynomial.quadratic * square)
    // The exponential is convex, so its mean is at least that of the mean (Jensen), and so is the polynomial's. Where
    // rounding or broken numbers say otherwise, all tokens count as one at the mean.
    guard sum >= 0.999 * count else {
      weights.update(repeating: 0, count: table.count)
      weights[0] = 1
      return (mean, count)
    }
    weights[0] *= Float(polynomial.constant)
    for index in table.products(ofDegree: 1) { weights[index] *= Float(polynomial.linear) }
    for index in table.products(ofDegree: 2) { weights[index] *= Float(polynomial.quadratic) }
    return (mean, sum)
  }

  /// The part of a query's logits that all tokens share: that of the center, and in directions that are dropped that of
  /// the tokens' mean and the expected effect of the spread.
  private func offset(of query: UnsafePointer<Float>, _ variables: UnsafePointer<Float>, head: Int) -> Float {
    let mean = mean(of: head)
    var product: (Float, Float) = (0, 0)
    var square: (Float, Float) = (0, 0)
    for index in stride(from: 0, to: headDim - 1, by: 2) {
      product.0 += query[index] * mean[index]
      product.1 += query[index + 1] * mean[index + 1]
      square.0 += query[index] * query[index]
      square.1 += query[index + 1] * query[index + 1]
    }
    if headDim % 2 == 1 {
      product.0 += query[headDim - 1] * mean[headDim - 1]
      square.0 += query[headDim - 1] * query[headDim - 1]
    }
    var kept: Float = 0
    for index in 0..<rank { kept += variables[index] * variables[index] }
    let (drift, sums) = (driftSums(of: head), featureSums(of: head))
    var moved = 0.0
    for index in 0..<headDim { moved += Double(query[index]) * Double(drift[index]) }
    for index in 0..<rank { moved -= Double(variables[index]) * sums[1 + index] }
    let dropped = max(0, square.0 + square.1 - kept) * residualVariance(of: head) / 2
    return product.0 + product.1 + Float(moved / sums[0]) + min(dropped, Self.largestResidual)
  }

  /// Joins exp(exponent) × (sum, output) into a row of the partial, so that no exponent is positive.
  private func join(
    exponent: Float, sum: Float, output: UnsafePointer<Float>, with partial: PartialRows, row: Int
  ) {
    guard exponent.isFinite else { return }
    let maximum = max(partial.max[row], exponent)
    let (old, new) = (exp(partial.max[row] - maximum), exp(exponent - maximum))
    partial.max[row] = maximum
    partial.sum[row] = partial.sum[row] * old + sum * new
    let out = partial.out + row * partial.stride
    for index in 0..<headDim { out[index] = out[index] * old + output[index] * new }
  }

  private static func product(
    _ weights: UnsafePointer<Float>, _ sums: UnsafePointer<Double>, _ range: Range<Int>
  ) -> Double {
    var parts: (Double, Double, Double, Double) = (0, 0, 0, 0)
    var index = range.lowerBound
    while index + 4 <= range.upperBound {
      parts.0 += Double(weights[index]) * sums[index]
      parts.1 += Double(weights[index + 1]) * sums[index + 1]
      parts.2 += Double(weights[index + 2]) * sums[index + 2]
      parts.3 += Double(weights[index + 3]) * sums[index + 3]
      index += 4
    }
    while index < range.upperBound {
      parts.0 += Double(weights[index]) * sums[index]
      index += 1
    }
    return parts.0 + parts.1 + (parts.2 + parts.3)
  }
}
