import Evaluation
import TestSupport
import Testing

/// The paper's sketches against exact attention and against their definition.
@Suite struct OnePassSketchTests {
  @Test(arguments: [1.0, 2, 4], [2, 4, 6, 8]) func `no output leaves its bound`(bound: Double, degree: Int) {
    let instance = SketchInstance(.independent, tokens: 800, dim: 4, valueDim: 8, bound: bound, hot: nil, seed: 7)
    let polynomial = ExponentialPolynomial.minimax(degree: degree, bound: bound)
    let error = PolynomialDegrees.outputError(instance, instance.attention(of: 0..<800), polynomial)
    let limit =
      SketchSize.outputBound(relativeError: polynomial.largestRelativeError(bound: bound)) * instance.valueBound
    #expect(error <= limit + 1e-12 && error > 0)
  }

  private static func instance(tokens: Int, seed: UInt64) -> SketchInstance {
    SketchInstance(.independent, tokens: tokens, dim: 3, valueDim: 2, bound: 1, hot: nil, seed: seed)
  }

  /// A small sketch with the tokens of a range.
  private func sketch(
    _ instance: SketchInstance, _ projection: TokenProjection?, keys: Range<Int>, queries: Range<Int>? = nil,
    of complete: OnePassSketch? = nil
  ) -> OnePassSketch {
    var sketch =
      complete
      ?? OnePassSketch(
        features: SketchFeatures(dim: instance.dim, polynomial: .taylor(degree: 3)), valueDim: instance.valueDim,
        recovery: SparseRecovery(rows: 3, buckets: 5, seed: 4), projection: projection)
    for token in keys { sketch.append(key: instance.key(token), value: instance.value(token), position: token) }
    for token in queries ?? 0..<0 { sketch.append(query: instance.query(token), position: token) }
    return sketch
  }

  static let projections: [TokenProjection?] = [
    nil, TokenProjection(rows: 6, entries: .signs, seed: 3), TokenProjection(rows: 6, entries: .oneSign, seed: 3),
    TokenProjection(rows: 70, entries: .signs, seed: 3),
  ]

  @Test(arguments: projections) func `sketches are the products of their matrices`(projection: TokenProjection?) {
    let instance = Self.instance(tokens: 40, seed: 5)
    let sketch = sketch(instance, projection, keys: 0..<40, queries: 0..<40)
    let features = (0..<40).map { sketch.features.key(instance.key($0)) }
    let count = sketch.features.count
    for feature in 0..<count {
      #expect(abs(sketch.featureSums[feature] - features.reduce(0) { $0 + $1[feature] }) < 1e-12)
    }
    var random = [[Double]](repeating: Array(repeating: 0, count: 40), count: projection?.rows ?? 0)
    for token in 0..<40 { projection?.forEachEntry(of: token) { random[$0][token] += $1 } }
    for row in random.indices {
      for feature in 0..<count {
        let expected = (0..<40).reduce(0) { $0 + random[row][$1] * features[$1][feature] }
        #expect(abs(sketch.keySketch[row * count + feature] - expected) < 1e-12)
      }
      for column in 0..<2 {
        let expected = (0..<40).reduce(0) { $0 + random[row][$1] * instance.value($1)[column] }
        #expect(abs(sketch.valueSketch[row * 2 + column] - expected) < 1e-12)
      }
    }
    var expected = [Double](repeating: 0, count: sketch.recovery.size * count)
    for token in 0..<40 {
      let weights = sketch.features.query(instance.query(token))
      let sum = zip(weights, sketch.featureSums).reduce(0) { $0 + $1.0 * $1.1 }
      for row in 0..<sketch.recovery.rows {
        let place = sketch.recovery.place(token, row: row)
        for feature in 0..<count { expected[place.index * count + feature] += place.sign * weights[feature] / sum }
      }
    }
    #expect(zip(expected, sketch.querySketch).allSatisfy { abs($0 - $1) < 1e-12 })
  }

  @Test(arguments: projections) func `sketches of parts add up`(projection: TokenProjection?) {
    let instance = Self.instance(tokens: 60, seed: 6)
    let whole = sketch(instance, projection, keys: 0..<60, queries: 0..<60)
    var keys = sketch(instance, projection, keys: 0..<23)
    keys.addKeys(of: sketch(instance, projection, keys: 23..<60))
    var parts = sketch(instance, projection, keys: 0..<0, queries: 0..<31, of: keys)
    parts.addQueries(of: sketch(instance, projection, keys: 0..<0, queries: 31..<60, of: keys))
    for (part, all) in [
      (parts.featureSums, whole.featureSums), (parts.keySketch, whole.keySketch),
      (parts.valueSketch, whole.valueSketch), (parts.exactProduct, whole.exactProduct),
      (parts.querySketch, whole.querySketch), (parts.product, whole.product),
    ] {
      #expect(part.count == all.count && zip(part, all).allSatisfy { abs($0 - $1) < 1e-11 })
    }
  }

  @Test(arguments: projections) func `outputs before recovery are those of the product`(projection: TokenProjection?) {
    let instance = Self.instance(tokens: 50, seed: 8)
    let sketch = sketch(instance, projection, keys: 0..<50)
    let product = sketch.product
    for token in 0..<50 {
      let query = instance.query(token)
      let row = sketch.normalised(query)
      let output = sketch.output(of: query, product: product)
      for column in 0..<2 {
        let expected = row.indices.reduce(0) { $0 + row[$1] * product[$1 * 2 + column] }
        #expect(abs(output[column] - expected) < 1e-12)
      }
    }
  }
}
