/// What the one-pass sketch costs in accuracy, on made-up heads: the experiments that its paper does not have.
package enum SketchExperiment {
  /// How well a polynomial of one degree stands for e^x, and what that does to attention.
  package struct Degree: Sendable {
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

  /// How well the largest outputs of one column are recovered.
  package struct Recovery: Sendable {
    package let instance: String
    package let tokens: Int
    /// Outputs recovered.
    package let kept: Int
    package let rows: Int
    package let buckets: Int
    /// Rows of the projection of keys and values, nil for none.
    package let projection: Int?
    /// The Euclidean length of the output column.
    package let length: Double
    /// How far the recovered column is from it.
    package fileprivate(set) var error: Double
    /// How far the best column with so many entries is from it.
    package let best: Double
    /// How far the whole column is from it before recovery, by the projection alone.
    package fileprivate(set) var projectionError: Double
    package let storedNumbers: Int
  }

  /// One row for each bound and degree, of heads with 4 dimensions.
  package static func degrees(
    bounds: [Double] = [1, 2, 4], degrees: [Int] = [2, 4, 6, 8, 12], tokens: Int = 2000
  ) -> [Degree] {
    bounds.flatMap { bound in
      let instance = SketchInstance.dense(tokens: tokens, valueDim: 8, bound: bound, seed: 1)
      let attention = instance.attention()
      return degrees.map { degree in
        let minimax = ExponentialPolynomial.minimax(degree: degree, bound: bound)
        let error = minimax.largestRelativeError(bound: bound)
        let features = SketchFeatures(dim: instance.dim, polynomial: minimax)
        return Degree(
          bound: bound, degree: degree,
          taylor: ExponentialPolynomial.taylor(degree: degree).largestRelativeError(bound: bound),
          chebyshev: ExponentialPolynomial.chebyshev(degree: degree, bound: bound).largestRelativeError(bound: bound),
          minimax: error, outputError: outputError(instance, attention, features),
          outputBound: outputBound(relativeError: error, values: instance.values))
      }
    }
  }

  /// What no entry of an output leaves where every weight has at most this relative error.
  package static func outputBound(relativeError: Double, values: [[Double]]) -> Double {
    guard relativeError < 1 else { return .infinity }
    let largest = values.joined().reduce(0) { max($0, abs($1)) }
    return 2 * relativeError / (1 - relativeError) * largest
  }

  /// The largest error of an output entry where features stand for the exponential, and nothing else is sketched.
  package static func outputError(
    _ instance: SketchInstance, _ attention: [[Double]], _ features: SketchFeatures
  ) -> Double {
    // Queries are not sketched here, so one bucket will do.
    let sketch = keys(of: instance, features, SparseRecovery(rows: 1, buckets: 1, seed: 0), nil)
    let product = sketch.product
    var largest = 0.0
    for (query, expected) in zip(instance.queries, attention) {
      let row = sketch.normalised(query)
      for column in expected.indices {
        let output = row.indices.reduce(0) { $0 + row[$1] * product[$1 * instance.valueDim + column] }
        largest = max(largest, abs(output - expected[column]))
      }
    }
    return largest
  }

  /// Recovery from exact products, from too few buckets, and with projections, of a sparse and of a dense instance.
  package static func recoveries(tokens: Int = 2000) -> [Recovery] {
    let sparse = SketchInstance.sparse(tokens: tokens, seed: 1)
    let hot = SketchInstance.hot(of: tokens)
    let sparseRun = RecoveryRun(sparse, degree: 10, kept: hot)
    let dense = SketchInstance.dense(tokens: tokens, seed: 1)
    let many = max(tokens / 40, 1)
    let denseRun = RecoveryRun(dense, degree: 4, kept: many)
    return [
      sparseRun.measure(rows: 7, buckets: 5 * hot, seed: 1), sparseRun.measure(rows: 7, buckets: 20 * hot, seed: 1),
    ]
      + [64, 256, 1024, 4096].map { projected(sparseRun, buckets: 20 * hot, rows: $0) }
      + [denseRun.measure(rows: 7, buckets: 4 * many, seed: 1), denseRun.measure(rows: 7, buckets: 16 * many, seed: 1)]
      + [64, 256, 1024, 4096].map { projected(denseRun, buckets: 16 * many, rows: $0) }
  }

  /// One random projection says little about all of them.
  static let projectionSeeds: Range<UInt64> = 1..<9

  /// A measurement with the root mean squares of errors over some projections.
  private static func projected(_ run: RecoveryRun, buckets: Int, rows: Int) -> Recovery {
    let results = projectionSeeds.map { run.measure(rows: 7, buckets: buckets, projection: rows, seed: $0) }
    func mean(_ error: (Recovery) -> Double) -> Double {
      (results.reduce(0) { $0 + error($1) * error($1) } / Double(results.count)).squareRoot()
    }
    var result = results[0]
    (result.error, result.projectionError) = (mean(\.error), mean(\.projectionError))
    return result
  }

  fileprivate static func keys(
    of instance: SketchInstance, _ features: SketchFeatures, _ recovery: SparseRecovery, _ projection: TokenProjection?
  ) -> OnePassSketch {
    var sketch = OnePassSketch(
      features: features, valueDim: instance.valueDim, recovery: recovery, projection: projection)
    for token in 0..<instance.tokens {
      sketch.append(key: instance.keys[token], value: instance.values[token], position: token)
    }
    return sketch
  }
}

/// Sketches of one instance with one value entry, beside its exact output.
package struct RecoveryRun: Sendable {
  private let instance: SketchInstance
  private let features: SketchFeatures
  private let kept: Int
  /// U2ᵀ V, `[feature]`
  private let product: [Double]
  /// `[token]`
  private let exact: [Double]
  private let length: Double
  private let best: Double

  package init(_ instance: SketchInstance, degree: Int, kept: Int) {
    precondition(instance.valueDim == 1, "one column is looked at")
    self.instance = instance
    self.kept = kept
    features = SketchFeatures(dim: instance.dim, polynomial: .minimax(degree: degree, bound: instance.bound))
    product = SketchExperiment.keys(of: instance, features, SparseRecovery(rows: 1, buckets: 1, seed: 0), nil).product
    exact = instance.attention().map { $0[0] }
    length = Self.length(exact)
    best = Self.length(exact.sorted { abs($0) > abs($1) }.dropFirst(kept))
  }

  /// - Parameter projection: rows of the projection, nil for the exact product
  package func measure(
    rows: Int, buckets: Int, projection: Int? = nil, entries: TokenProjection.Entries = .oneSign, seed: UInt64
  ) -> SketchExperiment.Recovery {
    let recovery = SparseRecovery(rows: rows, buckets: buckets, seed: seed)
    let random = projection.map { TokenProjection(rows: $0, entries: entries, seed: seed &+ 1 << 32) }
    var sketch = SketchExperiment.keys(of: instance, features, recovery, random)
    for (position, query) in instance.queries.enumerated() { sketch.append(query: query, position: position) }
    var recovered = [Double](repeating: 0, count: instance.tokens)
    for entry in sketch.recover(column: 0, tokens: instance.tokens, keeping: kept) {
      recovered[entry.position] = entry.value
    }
    return SketchExperiment.Recovery(
      instance: instance.name, tokens: instance.tokens, kept: kept, rows: rows, buckets: buckets,
      projection: projection,
      length: length, error: Self.length(zip(recovered, exact).map { $0 - $1 }), best: best,
      projectionError: projection == nil ? 0 : projectionError(sketch), storedNumbers: sketch.storedNumbers)
  }

  /// |D⁻¹ U1 ((Ψ U2)ᵀ Ψ V − U2ᵀ V)|
  private func projectionError(_ sketch: OnePassSketch) -> Double {
    let difference = zip(sketch.product, product).map { $0 - $1 }
    return Self.length(
      instance.queries.map { query in
        zip(sketch.normalised(query), difference).reduce(0) { $0 + $1.0 * $1.1 }
      })
  }

  private static func length(_ vector: some Sequence<Double>) -> Double {
    vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
  }
}
