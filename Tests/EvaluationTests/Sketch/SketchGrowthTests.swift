import Evaluation
import Kernels
import Testing

/// The theorem: a sketch of one size, streams that grow, errors within their bounds.
@Suite struct SketchGrowthTests {
  /// Rows of streams of 1,000 and 8,000 tokens in two dimensions.
  private static let rows: [SketchGrowth.Row] = {
    guard let size = SketchSize(dim: 2, bound: 1, kept: 8, tokens: 8_000), let team = try? WorkerTeam() else {
      preconditionFailure("a size and a team")
    }
    var rows: [SketchGrowth.Row] = []
    let growth = SketchGrowth(size: size, valueDim: 2, tokens: [1_000, 8_000], projection: 256, seeds: 6)
    growth.measure(team) { rows.append($0) }
    return rows
  }()

  private static func pair(_ stream: SketchGrowth.Stream, projection: Int? = nil) throws -> [SketchGrowth.Row] {
    let rows = rows.filter { $0.stream == stream && $0.projection == projection }
    try #require(rows.map(\.tokens) == [1_000, 8_000])
    return rows
  }

  static let kinds: [(SketchGrowth.Stream, Int?)] = [
    (.even, nil), (.even, 256), (.independent, nil), (.dense, nil),
  ]

  @Test(arguments: kinds) func `as many numbers for 8,000 tokens as for 1,000`(
    stream: SketchGrowth.Stream, projection: Int?
  ) throws {
    let rows = try Self.pair(stream, projection: projection)
    #expect(rows[0].storedNumbers == rows[1].storedNumbers)
    #expect(rows[0].size.rows == 19 && rows[0].size.buckets == 128 && rows[0].size.relativeError <= 1.0 / 8_000)
    let random = projection.map { TokenProjection(rows: $0, entries: .oneSign, seed: 1) }
    for tokens in [10, 300] {
      let instance = SketchInstance(.even, tokens: tokens, dim: 2, valueDim: 2, bound: 1, hot: nil, seed: 1)
      var sketch = SketchMeasurement.keys(of: instance, rows[0].size, random, hashSeed: 1)
      for token in 0..<tokens { sketch.append(query: instance.query(token), position: token) }
      #expect(sketch.storedNumbers == rows[0].storedNumbers)
    }
    #expect(rows.map(\.rawNumbers) == [6_000, 48_000])
  }

  @Test(arguments: kinds) func `errors stay within their bounds`(
    stream: SketchGrowth.Stream, projection: Int?
  ) throws {
    for row in try Self.pair(stream, projection: projection) {
      #expect(row.mean.errorBefore <= row.mean.boundBefore && row.mean.errorBefore > 0)
      #expect(row.mean.errorAfter <= row.mean.bound && row.mean.errorAfter >= row.mean.best * (1 - 1e-6))
      // Recovery itself costs next to nothing where something stands out.
      if projection == nil, stream != .dense { #expect(row.mean.errorAfter <= 1.05 * row.mean.best) }
    }
  }

  @Test func `the error falls where keys are even`() throws {
    let rows = try Self.pair(.even)
    #expect(rows.allSatisfy { $0.mean.errorAfter < 0.1 * $0.mean.length })
    let exponent = try #require(SketchGrowth.exponents(rows).first)
    #expect((-0.75 ... -0.3).contains(exponent.errorAfter), "\(exponent.errorAfter)")
  }

  @Test func `the error of a projection grows with the root of the tokens`() throws {
    let exponent = try #require(SketchGrowth.exponents(try Self.pair(.even, projection: 256)).first)
    #expect((0.3...0.7).contains(exponent.errorBefore), "\(exponent.errorBefore)")
    #expect(exponent.errorAfter > 0, "\(exponent.errorAfter)")
  }

  @Test func `what stands out is recovered, what does not is not`() throws {
    for row in try Self.pair(.independent) { #expect(row.mean.errorAfter <= 0.9 * row.mean.length) }
    for row in try Self.pair(.dense) {
      #expect(row.mean.best > 0.9 * row.mean.length && row.mean.errorAfter > 0.9 * row.mean.length)
    }
  }

  @Test func `every column is within its bound`() throws {
    let size = try #require(SketchSize(dim: 3, bound: 1, kept: 6, tokens: 2_000))
    let instance = SketchInstance(.even, tokens: 2_000, dim: 3, valueDim: 3, bound: 1, hot: 6, seed: 9)
    let columns = SketchMeasurement.measure(instance, size, columns: [0, 1, 2], projections: [nil], hashSeed: 77)[0]
    for column in columns {
      #expect(column.errorAfter <= column.bound && column.errorAfter <= 1.05 * column.best)
      #expect(column.errorAfter < 0.1 * column.length)
    }
  }
}
