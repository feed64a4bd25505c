/// How far one column of a one-pass sketch is from exact attention, beside what its theorem allows: Euclidean lengths over all
/// queries.
package struct SketchMeasurement: Sendable {
  /// Of the exact column: the error of an answer of zeros.
  package let length: Double
  /// The smallest possible error of so many entries.
  package let best: Double
  /// The error of all outputs before recovery: of the polynomial, and of the projection where there is one.
  package let errorBefore: Double
  /// What it may be, from norms alone: that of the polynomial, and for a projection of m rows 2 |P| |V| / sqrt(m), twice
  /// the root mean square of what projections do to outputs that are small beside values.
  package let boundBefore: Double
  /// The error of the recovered entries, zeros elsewhere.
  package let errorAfter: Double
  /// What it may be: (1 + e) best + (2 + e) `boundBefore`, where recovery adds e times the best error of what it is given.
  package let bound: Double

  /// Sketches an instance once for each projection, nil for none, all with the same hashes of queries.
  ///
  /// - Returns: for each projection one of each of the columns asked for, `[projection][column]`
  package static func measure(
    _ instance: SketchInstance, _ size: SketchSize, columns: [Int] = [0], projections: [TokenProjection?],
    hashSeed: UInt64
  ) -> [[SketchMeasurement]] {
    let exact = columns.map { ExactColumn(instance, column: $0) }
    var sketched = keys(of: instance, size, nil, hashSeed: hashSeed)
    for token in 0..<instance.tokens { sketched.append(query: instance.query(token), position: token) }
    return projections.map { projection in
      var sketch = sketched
      if let projection {
        sketch = keys(of: instance, size, projection, hashSeed: hashSeed)
        // A projection changes nothing about the sketch of queries.
        sketch.addQueries(of: sketched)
      }
      let errors = errorsBefore(sketch, instance, columns, exact)
      return columns.indices.map {
        SketchMeasurement(sketch, instance, size, column: columns[$0], exact[$0], errorBefore: errors[$0])
      }
    }
  }

  /// A sketch of all keys and values, and of no query.
  package static func keys(
    of instance: SketchInstance, _ size: SketchSize, _ projection: TokenProjection?, hashSeed: UInt64
  ) -> OnePassSketch {
    var sketch = size.sketch(valueDim: instance.valueDim, projection: projection, hashSeed: hashSeed)
    for token in 0..<instance.tokens {
      sketch.append(key: instance.key(token), value: instance.value(token), position: token)
    }
    return sketch
  }

  /// The errors of all outputs of some columns from what is kept of keys and values alone, `[column]`.
  package static func errorsBefore(
    _ sketch: OnePassSketch, _ instance: SketchInstance, _ columns: [Int], _ exact: [ExactColumn]
  ) -> [Double] {
    let product = sketch.product
    var squares = [Double](repeating: 0, count: columns.count)
    for token in 0..<instance.tokens {
      let output = sketch.output(of: instance.query(token), product: product)
      for (index, column) in columns.enumerated() {
        let difference = output[column] - exact[index].outputs[token]
        squares[index] += difference * difference
      }
    }
    return squares.map { $0.squareRoot() }
  }

  /// What the error before recovery may be.
  package static func boundBefore(
    _ instance: SketchInstance, _ size: SketchSize, _ exact: ExactColumn, projection: Int?
  ) -> Double {
    let polynomial =
      SketchSize.outputBound(relativeError: size.relativeError) * instance.valueBound
      * Double(instance.tokens).squareRoot()
    return polynomial + (projection.map { 2 * exact.weightNorm * exact.valueNorm / Double($0).squareRoot() } ?? 0)
  }

  private init(
    _ sketch: OnePassSketch, _ instance: SketchInstance, _ size: SketchSize, column: Int, _ exact: ExactColumn,
    errorBefore: Double
  ) {
    let truth = exact.outputs
    self.errorBefore = errorBefore
    boundBefore = Self.boundBefore(instance, size, exact, projection: sketch.projection?.rows)
    length = Self.distance(of: [], from: truth)
    best = Self.best(truth, keeping: size.kept)
    errorAfter = Self.distance(
      of: sketch.recover(column: column, tokens: instance.tokens, keeping: size.kept), from: truth)
    bound = (1 + SketchSize.excess) * best + (2 + SketchSize.excess) * boundBefore
  }

  /// The smallest error of `kept` entries.
  package static func best(_ truth: [Double], keeping kept: Int) -> Double {
    var largest = LargestEntries(capacity: kept)
    for (position, value) in truth.enumerated() { largest.insert(value, at: position) }
    return distance(of: largest.entries, from: truth)
  }

  /// The distance of a vector of some entries, zeros elsewhere.
  package static func distance(of entries: [(position: Int, value: Double)], from truth: [Double]) -> Double {
    var rest = truth
    for entry in entries { rest[entry.position] -= entry.value }
    return rest.reduce(0) { $0 + $1 * $1 }.squareRoot()
  }

  private init(length: Double, best: Double, before: (Double, Double), after: (Double, Double)) {
    self.length = length
    self.best = best
    (errorBefore, boundBefore) = before
    (errorAfter, bound) = after
  }

  /// The root mean squares of several.
  package static func rootMeanSquare(_ all: [SketchMeasurement]) -> SketchMeasurement {
    func mean(_ value: (SketchMeasurement) -> Double) -> Double {
      (all.reduce(0) { $0 + value($1) * value($1) } / Double(all.count)).squareRoot()
    }
    return SketchMeasurement(
      length: mean(\.length), best: mean(\.best), before: (mean(\.errorBefore), mean(\.boundBefore)),
      after: (mean(\.errorAfter), mean(\.bound)))
  }
}
