/// Attention of all queries to all keys from sketches that are made in one pass and do not grow with the tokens.
///
/// With U1 and U2 the features of queries and keys (`SketchFeatures`), D the row sums of U1 U2ᵀ, and random matrices Φ
/// (`SparseRecovery`) and Ψ (`TokenProjection`), it keeps z = U2ᵀ 1, Ψ U2, Ψ V and Φ D⁻¹ U1. Their product
/// Φ D⁻¹ U1 · (Ψ U2)ᵀ · Ψ V sketches the output; from it the k largest entries of each of its columns, over all query
/// positions, are recovered. Without Ψ the product U2ᵀ V is kept itself, which is exact and smaller as soon as Ψ has as
/// many rows as values have entries.
///
/// Not causal: all keys come before the first query. Everything is Float64, and logits are plain inner products, so scale
/// queries and keys first. `SketchSize` has the rules of its sizes, `SketchMeasurement` what it is worth.
///
/// Source: Addanki, Li, Song, Yang, "One Pass Streaming Algorithm for Super Long Token Attention Approximation in Sublinear
/// Space", arXiv 2311.14652. The body of the paper was not at hand: the order of the passes and all constants are ours.
/// Decoding looks at every position.
package struct OnePassSketch: Sendable {
  package let features: SketchFeatures
  package let valueDim: Int
  package let recovery: SparseRecovery
  package let projection: TokenProjection?

  /// z, `[feature]`
  package private(set) var featureSums: [Double]
  /// Ψ U2, `[row, feature]`; empty without projection.
  package private(set) var keySketch: [Double]
  /// Ψ V, `[row, valueDim]`; empty without projection.
  package private(set) var valueSketch: [Double]
  /// U2ᵀ V, `[feature, valueDim]`; empty with a projection.
  package private(set) var exactProduct: [Double]
  /// Φ D⁻¹ U1, `[row and bucket, feature]`
  package private(set) var querySketch: [Double]

  package init(
    features: SketchFeatures, valueDim: Int, recovery: SparseRecovery, projection: TokenProjection? = nil
  ) {
    precondition(valueDim > 0, "values have entries")
    self.features = features
    self.valueDim = valueDim
    self.recovery = recovery
    self.projection = projection
    let rows = projection?.rows ?? 0
    featureSums = Array(repeating: 0, count: features.count)
    keySketch = Array(repeating: 0, count: rows * features.count)
    valueSketch = Array(repeating: 0, count: rows * valueDim)
    exactProduct = Array(repeating: 0, count: projection == nil ? features.count * valueDim : 0)
    querySketch = Array(repeating: 0, count: recovery.size * features.count)
  }

  /// Numbers kept, whatever came in.
  package var storedNumbers: Int {
    featureSums.count + keySketch.count + valueSketch.count + exactProduct.count + querySketch.count
  }

  /// Takes in the key and the value of a token.
  package mutating func append(key: [Double], value: [Double], position: Int) {
    precondition(value.count == valueDim, "a value of another size")
    let feature = features.key(key)
    Self.add(feature, times: 1, to: &featureSums, at: 0)
    if let projection {
      projection.forEachEntry(of: position) { row, entry in
        Self.add(feature, times: entry, to: &keySketch, at: row * feature.count)
        Self.add(value, times: entry, to: &valueSketch, at: row * valueDim)
      }
    } else {
      for index in feature.indices {
        for column in 0..<valueDim { exactProduct[index * valueDim + column] += feature[index] * value[column] }
      }
    }
  }

  /// Takes in a query, after all keys.
  package mutating func append(query: [Double], position: Int) {
    let row = normalised(query)
    for index in 0..<recovery.rows {
      let place = recovery.place(position, row: index)
      Self.add(row, times: place.sign, to: &querySketch, at: place.index * row.count)
    }
  }

  /// Adds the keys and values that another sketch of the same kind has seen.
  package mutating func addKeys(of other: OnePassSketch) {
    Self.add(other.featureSums, times: 1, to: &featureSums, at: 0)
    Self.add(other.keySketch, times: 1, to: &keySketch, at: 0)
    Self.add(other.valueSketch, times: 1, to: &valueSketch, at: 0)
    Self.add(other.exactProduct, times: 1, to: &exactProduct, at: 0)
  }

  /// Adds the queries that another sketch with the same keys has seen.
  package mutating func addQueries(of other: OnePassSketch) {
    Self.add(other.querySketch, times: 1, to: &querySketch, at: 0)
  }

  /// A row of D⁻¹ U1, `[feature]`.
  package func normalised(_ query: [Double]) -> [Double] {
    let row = features.query(query)
    let sum = zip(row, featureSums).reduce(0) { $0 + $1.0 * $1.1 }
    return row.map { $0 / sum }
  }

  /// The output of a query from what is kept of keys and values alone, before anything is recovered, `[valueDim]`.
  ///
  /// - Parameter product: `product`, which takes long to make
  package func output(of query: [Double], product: [Double]) -> [Double] {
    let row = normalised(query)
    var output = [Double](repeating: 0, count: valueDim)
    for index in row.indices {
      for column in 0..<valueDim { output[column] += row[index] * product[index * valueDim + column] }
    }
    return output
  }

  /// (Ψ U2)ᵀ Ψ V, which stands for U2ᵀ V, `[feature, valueDim]`.
  package var product: [Double] {
    guard let projection else { return exactProduct }
    var product = [Double](repeating: 0, count: features.count * valueDim)
    for row in 0..<projection.rows {
      let value = Array(valueSketch[row * valueDim..<(row + 1) * valueDim])
      for feature in 0..<features.count {
        Self.add(value, times: keySketch[row * features.count + feature], to: &product, at: feature * valueDim)
      }
    }
    return product
  }

  /// The `kept` largest entries of a column of the output, over `tokens` query positions.
  package func recover(column: Int, tokens: Int, keeping kept: Int) -> [(position: Int, value: Double)] {
    precondition((0..<valueDim).contains(column), "a column that is not there")
    let product = product
    let factors = (0..<features.count).map { product[$0 * valueDim + column] }
    let sketch = (0..<recovery.size).map { row in
      querySketch[row * factors.count..<(row + 1) * factors.count].withUnsafeBufferPointer { entries in
        entries.indices.reduce(0) { $0 + entries[$1] * factors[$1] }
      }
    }
    return recovery.recover(sketch, count: tokens, keeping: kept)
  }

  private static func add(_ source: [Double], times factor: Double, to target: inout [Double], at start: Int) {
    precondition(start + source.count <= target.count)
    source.withUnsafeBufferPointer { source in
      target.withUnsafeMutableBufferPointer { target in
        for index in 0..<source.count { target[start + index] += factor * source[index] }
      }
    }
  }
}
