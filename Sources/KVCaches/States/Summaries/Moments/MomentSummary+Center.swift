import Kernels

/// The center of the keys that have melted.
extension MomentSummary {
  /// Tokens from which on a mean says where keys lie.
  private static let leastCount = 16

  /// Moves the center to the mean of what has melted, at every power of two tokens where that is farther off than keys
  /// are spread, in some direction that is kept.
  ///
  /// Sums about a far center are large and cancel in every answer: keys that lie 20 spreads away lose nine bits of the
  /// mantissa.
  ///
  /// - Parameter scratch: `[headDim]`
  func recentreWhereFar(head: Int, scratch: UnsafeMutablePointer<Float>) {
    let sums = featureSums(of: head)
    guard sums[0] >= Double(Self.leastCount), sums[0] < 0x1p52, Int(sums[0]).nonzeroBitCount == 1 else { return }
    var square = 1 + rank
    for variable in 0..<rank {
      let mean = sums[1 + variable] / sums[0]
      if 2 * mean * mean > sums[square] / sums[0] { return recentre(head: head, shift: scratch) }
      square += rank - variable
    }
  }

  /// Moves the center of a head to the mean of what has melted there, and all sums with it.
  ///
  /// With x' = x - m the sum of x'_i x'_j is that of x_i x_j - m_i x_j - m_j x_i + m_i m_j, and so with values.
  private func recentre(head: Int, shift: UnsafeMutablePointer<Float>) {
    let (sums, drift, mean) = (featureSums(of: head), driftSums(of: head), mean(of: head))
    let count = sums[0]
    for index in 0..<headDim {
      let moved = Float(Double(mean[index]) + Double(drift[index]) / count)
      let step = Double(moved) - Double(mean[index])
      drift[index] = Float(Double(drift[index]) - count * step)
      (mean[index], shift[index]) = (moved, Float(step))
    }
    var product = 1 + rank
    for first in 0..<rank {
      for second in first..<rank {
        let (a, b) = (part(first, of: shift, head: head), part(second, of: shift, head: head))
        sums[product] += a * b * sums[0] - a * sums[1 + second] - b * sums[1 + first]
        shiftValues(of: product, (0, a * b), (1 + second, -a), (1 + first, -b), head: head)
        product += 1
      }
    }
    for variable in 0..<rank {
      let step = part(variable, of: shift, head: head)
      sums[1 + variable] -= step * sums[0]
      shiftValues(of: 1 + variable, (0, -step), head: head)
    }
  }

  /// A vector's part in one of the directions that are kept.
  private func part(_ variable: Int, of vector: UnsafePointer<Float>, head: Int) -> Double {
    let directions = directions(of: head)
    var sum = 0.0
    for index in 0..<headDim { sum += Double(vector[index]) * Double(directions[index * rank + variable]) }
    return sum
  }

  private typealias Term = (feature: Int, factor: Double)

  /// Adds multiples of rows of sums with values to one of them.
  private func shiftValues(of feature: Int, _ a: Term, _ b: Term = (0, 0), _ c: Term = (0, 0), head: Int) {
    let rows = valueSums(of: head)
    let target = rows + feature * headDim
    for index in 0..<headDim {
      var sum = Double(target[index])
      sum += a.factor * Double(rows[a.feature * headDim + index])
      sum += b.factor * Double(rows[b.feature * headDim + index])
      sum += c.factor * Double(rows[c.feature * headDim + index])
      target[index] = Float(sum)
    }
  }
}
