import Evaluation
import Testing

/// Made-up heads are what the theorem assumes, and what stands for exact attention is exact.
@Suite struct SketchInstanceTests {
  private static func instance(
    _ keys: SketchInstance.Keys, tokens: Int = 600, dim: Int = 4, bound: Double = 1, hot: Int? = 8, seed: UInt64 = 1
  ) -> SketchInstance {
    SketchInstance(keys, tokens: tokens, dim: dim, valueDim: 3, bound: bound, hot: hot, seed: seed)
  }

  @Test(arguments: SketchInstance.Keys.allCases, [2, 4])
  func `no two keys or queries are alike, and logits are bounded`(keys: SketchInstance.Keys, dim: Int) {
    let instance = Self.instance(keys, dim: dim, bound: 2)
    #expect(Set((0..<600).map(instance.key)).count == 600)
    #expect(Set((0..<600).map(instance.query)).count == 600)
    for token in 0..<600 {
      // Entries of keys go up to 1, so this is the largest logit that there can be.
      #expect(instance.query(token).reduce(0) { $0 + abs($1) } <= 2 + 1e-12)
      #expect(instance.key(token).allSatisfy { abs($0) <= 1 })
      #expect(instance.value(token).allSatisfy { abs($0) <= instance.valueBound })
    }
    #expect(instance.hotPositions?.count == 8 && instance.rawNumbers == 600 * (2 * dim + 3))
    let hot = (0..<600).filter { instance.query($0).last != 0 }
    #expect(Set(hot) == instance.hotPositions)
    #expect(instance.query(5) == Self.instance(keys, dim: dim, bound: 2).query(5))
    #expect(instance.key(5) != Self.instance(keys, dim: dim, bound: 2, seed: 2).key(5))
  }

  @Test(arguments: SketchInstance.Keys.allCases, [1.0, 4])
  func `a column by sums of features is that by direct sums`(keys: SketchInstance.Keys, bound: Double) {
    let instance = Self.instance(keys, tokens: 200, dim: 3, bound: bound)
    let attention = instance.attention(of: 0..<200)
    for column in 0..<3 {
      let exact = ExactColumn(instance, column: column)
      for token in 0..<200 { #expect(abs(exact.outputs[token] - attention[token][column]) < 3e-10) }
      let squares = (0..<200).reduce(0.0) { $0 + instance.value($1)[column] * instance.value($1)[column] }
      #expect(abs(exact.valueNorm - squares.squareRoot()) < 1e-10)
    }
  }

  @Test(arguments: [1.0, 4]) func `the norm of the weights is that of direct sums`(bound: Double) {
    let instance = Self.instance(.independent, tokens: 200, dim: 3, bound: bound)
    let keys = (0..<200).map(instance.key)
    var squares = 0.0
    for token in 0..<200 {
      let query = instance.query(token)
      let weights = keys.map { key in Self.exponential(zip(query, key).reduce(0) { $0 + $1.0 * $1.1 }) }
      let sum = weights.reduce(0, +)
      squares += weights.reduce(0) { $0 + $1 * $1 } / (sum * sum)
    }
    let norm = ExactColumn(instance, column: 0).weightNorm
    #expect(abs(norm / squares.squareRoot() - 1) < 1e-3)
  }

  /// By its series, in parts that are small.
  private static func exponential(_ x: Double) -> Double {
    let taylor = ExponentialPolynomial.taylor(degree: 20)
    let part = taylor(x / 4)
    return part * part * part * part
  }
}
