import Evaluation
import Kernels
import TestSupport
import Testing

/// CountSketch by itself: what it finds in a vector, and how often it fails.
@Suite struct SparseRecoveryTests {
  private static let tokens = 16_384
  private static let kept = 20

  /// Large entries among normal noise; `share` of the length is theirs.
  private static func vector(share: Double, seed: UInt64) -> [Double] {
    var random = SplitMix64(seed: seed)
    var vector = random.normals(tokens, scale: 1).map(Double.init)
    let noise = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
    // The length of the large entries for which their part of the whole is `share`.
    let large = noise * share / (1 - share * share).squareRoot() / Double(kept).squareRoot()
    for index in 0..<kept { vector[(index * 7919 + 13) % tokens] = index % 3 == 0 ? -large : large }
    return vector
  }

  private static func error(_ vector: [Double], rows: Int, buckets: Int, seed: UInt64) -> Double {
    let recovery = SparseRecovery(rows: rows, buckets: buckets, seed: seed)
    let entries = recovery.recover(recovery.sketch(of: vector), count: vector.count, keeping: kept)
    #expect(entries.count == kept && zip(entries, entries.dropFirst()).allSatisfy { $0.position < $1.position })
    return SketchMeasurement.distance(of: entries, from: vector)
  }

  /// Hash seeds of 40 with more than 1.25 times the smallest possible error.
  private static func failures(_ vector: [Double], rows: Int) -> [UInt64] {
    let best = SketchMeasurement.best(vector, keeping: kept)
    let buckets = SparseRecovery.safeBuckets(keeping: kept, excess: 1)
    return (1...40).filter { error(vector, rows: rows, buckets: buckets, seed: $0) > 1.25 * best + 0.001 }
  }

  @Test func `rows and buckets follow their rules`() {
    let rows = [1_000: 15, 2_000: 17, 16_384: 21, 100_000: 25, 1_000_000: 29]
    for (entries, rows) in rows { #expect(SparseRecovery.safeRows(entries: entries) == rows) }
    #expect(SparseRecovery.safeRows(entries: 1) % 2 == 1)
    #expect(SparseRecovery.safeBuckets(keeping: 20, excess: 1) == 320)
    #expect(SparseRecovery.safeBuckets(keeping: 20, excess: 0.01) == 1_280)
  }

  @Test(arguments: [0.9, 0.999]) func `no hash of 40 fails`(share: Double) {
    let vector = Self.vector(share: share, seed: 3)
    let failures = Self.failures(vector, rows: SparseRecovery.safeRows(entries: Self.tokens))
    #expect(failures.isEmpty, "\(failures)")
  }

  @Test(arguments: SketchInstance.Keys.allCases)
  func `no hash of 40 fails on a column of attention`(keys: SketchInstance.Keys) {
    let instance = SketchInstance(
      keys, tokens: Self.tokens, dim: 2, valueDim: 1, bound: 1, hot: Self.kept, seed: 6)
    let failures = Self.failures(
      ExactColumn(instance, column: 0).outputs, rows: SparseRecovery.safeRows(entries: Self.tokens))
    #expect(failures.isEmpty, "\(failures)")
  }

  @Test func `too few rows fail`() {
    let failures = Self.failures(Self.vector(share: 0.999, seed: 3), rows: 7)
    #expect(!failures.isEmpty)
  }

  @Test func `too few buckets fail`() {
    let vector = Self.vector(share: 0.9, seed: 3)
    let best = SketchMeasurement.best(vector, keeping: Self.kept)
    #expect(Self.error(vector, rows: 21, buckets: 20, seed: 1) > 1.25 * best)
  }

  @Test(arguments: 1...10) func `what is recovered is better than zeros`(seed: UInt64) {
    let vector = Self.vector(share: 0.5, seed: seed)
    let length = SketchMeasurement.distance(of: [], from: vector)
    let error = Self.error(vector, rows: 21, buckets: 320, seed: seed + 100)
    #expect(error <= 0.9 * length, "\(error / length)")
  }

  @Test func `a sketch of a vector is that of its parts`() {
    let vector = Self.vector(share: 0.5, seed: 1)
    let recovery = SparseRecovery(rows: 3, buckets: 11, seed: 5)
    var expected = [Double](repeating: 0, count: 33)
    for (position, value) in vector.enumerated() {
      for row in 0..<3 {
        let place = recovery.place(position, row: row)
        #expect((row * 11..<(row + 1) * 11).contains(place.index))
        expected[place.index] += place.sign * value
      }
    }
    #expect(recovery.sketch(of: vector) == expected)
  }
}
