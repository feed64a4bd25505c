package import Kernels

/// The experiment that the theorem is about: streams grow, the sketch does not, and its error is looked at.
package struct SketchGrowth: Sendable {
  /// What is sketched.
  package enum Stream: String, Sendable, CaseIterable {
    /// Keys that fill their space evenly, a fixed number of hot queries: best possible errors fall.
    case even
    /// Independent keys, a fixed number of hot queries: what is not hot stays as long as it is.
    case independent
    /// Keys that fill their space evenly, all queries hot: no output stands out.
    case dense
  }

  package struct Row: Sendable {
    package let stream: Stream
    /// Rows of the projection of keys and values, nil for none.
    package let projection: Int?
    package let tokens: Int
    package let size: SketchSize
    package let storedNumbers: Int
    /// Numbers of Q, K and V.
    package let rawNumbers: Int
    /// Root mean squares over seeds.
    package let mean: SketchMeasurement

    package var storedShare: Double { Double(storedNumbers) / Double(rawNumbers) }
    package var name: String { stream.rawValue + (projection.map { ", \($0) rows" } ?? "") }
  }

  /// How a column of rows goes with the tokens: like tokens to this power.
  package struct Exponent: Sendable {
    package let stream: Stream
    package let projection: Int?
    /// Of the errors before and after recovery and the best possible one, each over the length of the column.
    package let errorBefore, errorAfter, best: Double
  }

  package let size: SketchSize
  package var valueDim: Int
  /// Ascending.
  package var tokens: [Int]
  /// Rows of the projection that even keys are sketched with once more.
  package var projection: Int
  /// Instances, each with a seed for itself, one for its hashes and one for its projection.
  package var seeds: Int

  package init(size: SketchSize, valueDim: Int, tokens: [Int], projection: Int, seeds: Int) {
    self.size = size
    self.valueDim = valueDim
    self.tokens = tokens
    self.projection = projection
    self.seeds = seeds
  }

  /// Measures all rows, seeds side by side on the threads of a team, and gives each when it is there.
  package func measure(_ team: WorkerTeam, _ isMeasured: (Row) -> Void) {
    for stream in Stream.allCases {
      for count in tokens {
        let projections = stream == .even ? [nil, projection] : [nil]
        // [seed][projection]
        var results = [[SketchMeasurement]](repeating: [], count: seeds)
        results.withUnsafeMutableBufferPointer { results in
          team.parallelFor(seeds) { range in
            for seed in range { results[seed] = measure(stream, count, projections, seed: UInt64(seed)) }
          }
        }
        for (index, rows) in projections.enumerated() {
          isMeasured(
            Row(
              stream: stream, projection: rows, tokens: count, size: size,
              storedNumbers: size.storedNumbers(valueDim: valueDim, projection: rows),
              rawNumbers: count * (2 * size.dim + valueDim), mean: .rootMeanSquare(results.map { $0[index] })))
        }
      }
    }
  }

  package func instance(_ stream: Stream, tokens: Int, seed: UInt64) -> SketchInstance {
    SketchInstance(
      stream == .independent ? .independent : .even, tokens: tokens, dim: size.dim, valueDim: valueDim,
      bound: size.bound, hot: stream == .dense ? nil : size.kept, seed: SplitMix64.mixed(3 * seed + 1))
  }

  private func measure(_ stream: Stream, _ tokens: Int, _ projections: [Int?], seed: UInt64) -> [SketchMeasurement] {
    SketchMeasurement.measure(
      instance(stream, tokens: tokens, seed: seed), size,
      projections: projections.map { rows in
        rows.map { TokenProjection(rows: $0, entries: .oneSign, seed: SplitMix64.mixed(3 * seed + 2)) }
      }, hashSeed: SplitMix64.mixed(3 * seed + 3)
    ).map { $0[0] }
  }

  /// One for each kind of row that has at least two lengths of streams.
  package static func exponents(_ rows: [Row]) -> [Exponent] {
    var kinds: [(Stream, Int?)] = []
    for row in rows where !kinds.contains(where: { $0 == (row.stream, row.projection) }) {
      kinds.append((row.stream, row.projection))
    }
    return kinds.compactMap { stream, projection in
      let own = rows.filter { $0.stream == stream && $0.projection == projection }
      func exponent(_ error: (SketchMeasurement) -> Double) -> Double? {
        PowerLaw.exponent(own.map { (Double($0.tokens), error($0.mean) / $0.mean.length) })
      }
      guard let before = exponent(\.errorBefore), let after = exponent(\.errorAfter), let best = exponent(\.best)
      else { return nil }
      return Exponent(stream: stream, projection: projection, errorBefore: before, errorAfter: after, best: best)
    }
  }
}
