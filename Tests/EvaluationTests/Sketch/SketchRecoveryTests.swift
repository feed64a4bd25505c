import Evaluation
import Testing

/// How well the largest outputs of a column are found again.
@Suite struct SketchRecoveryTests {
  private static let sparseRuns = (0..<10).map { RecoveryRun(.sparse(seed: UInt64($0)), degree: 10, kept: 20) }
  private static let dense = RecoveryRun(.dense(seed: 1), degree: 4, kept: 50)

  @Test func `a sparse column is recovered from exact products`() {
    let result = Self.sparseRuns[1].measure(rows: 7, buckets: 400, seed: 1)
    #expect((12.0...14).contains(result.length) && result.best < 0.01)
    #expect(result.error <= 1.1 * result.best, "\(result.error) of \(result.best)")
  }

  @Test func `too few buckets find false entries`() {
    let result = Self.sparseRuns[1].measure(rows: 7, buckets: 100, seed: 1)
    #expect(result.error > 1, "\(result.error)")
  }

  @Test(arguments: [(7, 400), (15, 320)]) func `a projected column stays within the theorem`(rows: Int, buckets: Int) {
    let holds = (0..<10).filter { seed in
      let result = Self.sparseRuns[seed].measure(
        rows: rows, buckets: buckets, projection: 256, seed: UInt64(seed))
      return result.error <= 1.25 * result.best + 1.2 * result.projectionError
    }
    #expect(holds.count >= 9, "\(holds)")
  }

  @Test(arguments: [(200, 1.35), (800, 1.15)]) func `a dense column is as near as so few entries can be`(
    buckets: Int, limit: Double
  ) {
    let result = Self.dense.measure(rows: 7, buckets: buckets, seed: 1)
    // Nothing stands out, so hardly anything is recovered.
    #expect(result.best > 0.8 * result.length)
    #expect(result.error <= limit * result.best, "\(result.error / result.best)")
  }

  @Test(arguments: [TokenProjection.Entries.signs, .oneSign])
  func `the error of a projection falls with the root of its rows`(entries: TokenProjection.Entries) {
    // One random matrix says little: the mean square of several.
    let scaled = [64, 256, 1024].map { rows in
      let squares = (0..<6).map { seed in
        let result = Self.dense.measure(rows: 1, buckets: 16, projection: rows, entries: entries, seed: UInt64(seed))
        return result.projectionError * result.projectionError
      }
      return (squares.reduce(0, +) / 6).squareRoot() * Double(rows).squareRoot()
    }
    let mean = scaled.reduce(0, +) / 3
    #expect(scaled.allSatisfy { abs($0 / mean - 1) <= 0.5 }, "\(scaled)")
  }
}
