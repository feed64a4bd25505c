import Evaluation
import TestSupport
import Testing

/// What a projection of keys and values does to a column, against what norms alone say before anything is sketched.
@Suite struct TokenProjectionTests {
  private struct Subject {
    let instance: SketchInstance
    let size: SketchSize
    let exact: ExactColumn

    init(tokens: Int) throws {
      size = try #require(SketchSize(dim: 2, bound: 1, kept: 1, tokens: 1_000))
      instance = SketchInstance(.independent, tokens: tokens, dim: 2, valueDim: 1, bound: 1, hot: nil, seed: 4)
      exact = ExactColumn(instance, column: 0)
    }

    func error(rows: Int, _ entries: TokenProjection.Entries, seed: UInt64) -> Double {
      let projection = TokenProjection(rows: rows, entries: entries, seed: seed)
      let sketch = SketchMeasurement.keys(of: instance, size, projection, hashSeed: 0)
      return SketchMeasurement.errorsBefore(sketch, instance, [0], [exact])[0]
    }
  }

  @Test(arguments: [TokenProjection.Entries.signs, .oneSign], [16, 64])
  func `the error stays within its bound`(entries: TokenProjection.Entries, rows: Int) throws {
    let subject = try Subject(tokens: 400)
    let bound = SketchMeasurement.boundBefore(subject.instance, subject.size, subject.exact, projection: rows)
    let errors = (1...40).map { subject.error(rows: rows, entries, seed: $0) }
    // The bound is twice what a projection does in root mean square.
    #expect(errors.count { $0 > bound } <= 2, "\(errors.map { $0 / bound })")
    let mean = (errors.reduce(0) { $0 + $1 * $1 } / 40).squareRoot()
    #expect((0.35...0.65).contains(mean / bound), "\(mean / bound)")
  }

  @Test(arguments: [TokenProjection.Entries.signs, .oneSign])
  func `the error falls with the root of the rows`(entries: TokenProjection.Entries) throws {
    let subject = try Subject(tokens: 400)
    let points = [8, 32, 128, 512].map { rows in
      let squares = (1...48).map { seed in
        let error = subject.error(rows: rows, entries, seed: UInt64(1_000 * rows + seed))
        return error * error
      }
      return (x: Double(rows), y: (squares.reduce(0, +) / 48).squareRoot())
    }
    let exponent = try #require(PowerLaw.exponent(points))
    #expect(abs(exponent + 0.5) <= 0.1, "\(exponent)")
  }

  @Test func `powers are fitted`() throws {
    let points = [1.0, 2, 4, 8].map { (x: $0, y: 3 / $0.squareRoot()) }
    #expect(abs(try #require(PowerLaw.exponent(points)) + 0.5) < 1e-12)
    #expect(PowerLaw.exponent([(1, 2), (1, 3)]) == nil && PowerLaw.exponent([]) == nil)
  }
}
