import CacheTestSupport
import Foundation
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// Every sum that a cache keeps over a whole stream goes on growing rightly after ten million addends and more.
///
/// Of each, the sum of so many equal addends is put in place by hand, then some more are added as tokens add them.
/// Exempt are sums that end: attention's own over the slots of a row, columns and votes over the rows of a chunk or a
/// window, the covariance of at most 65,536 keys, and what one segment adds to a compressive memory. Counts of tokens are
/// whole numbers of 64 bits.
@Suite("Sums over endless streams")
struct RunningSumTests {
  /// Tokens before.
  private static let many = 2e7

  @Test("ten million equal numbers in float32")
  func dithered() {
    let sums = Buffer<Float>(count: 4)
    let (row, factors): ([Float], [Float]) = ([0.1, 0.3, -0.7, 1e-3], [1])
    var random = SplitMix64(seed: 1)
    var (plain, count) = (Float(0), 10_000_000)
    for _ in 0..<count {
      DitheredSums.shared.add(
        row, times: factors, toRowsOf: sums.pointer, count: 1, columns: 4, seed: random.next())
      plain += row[0]
    }
    for index in 0..<4 {
      let expected = Double(row[index]) * Double(count)
      #expect(abs(Double(sums[index]) / expected - 1) < 1e-3, "\(row[index]): \(sums[index])")
    }
    #expect(abs(Double(plain) / (Double(row[0]) * Double(count)) - 1) > 0.05, "what it is there for")
    // Four hundred million more stay within a digit of where they should be on average.
    count = 100_000
    sums.elements.update(repeating: 4e7)
    for _ in 0..<count {
      DitheredSums.shared.add(
        [0.1, 0.1, 0.1, 0.1], times: factors, toRowsOf: sums.pointer, count: 1, columns: 4, seed: random.next())
    }
    let grown = sums.elements.reduce(0) { $0 + Double($1) - 4e7 } / 4
    #expect(abs(grown / 1e4 - 1) < 0.1, "\(grown)")
  }

  @Test("counts of clusters", arguments: KVCache.SlotType.allCases)
  func clusterCounts(slotType: KVCache.SlotType) {
    let head = WardTests.head(1, slotType: slotType)
    let token = Token(key: [Float](repeating: 1, count: 32), value: [Float](repeating: 1, count: 32))
    head.melt(token)
    let clusters = head.summary.clusters(0)
    clusters.counts[0] = Self.many
    for _ in 0..<1000 { head.melt(token) }
    #expect(clusters.counts[0] == Self.many + 1000)
  }

  @Test("counts and lengths of SubGen's samples")
  func samples() {
    let head = SubGenTests.head(clusters: 1, delta: 0.5)
    let token = Token(key: [1, 0, 0, 0], value: [0.1, 0, 0, 0])
    head.melt(token)
    let (clusters, values) = (head.summary.normalizerClusters(0), head.summary.valueSamples(0))
    clusters.setCount(Self.many, of: 0)
    values.mass.pointee = Self.many * 0.01
    for _ in 0..<1000 { head.melt(token) }
    #expect(clusters.counts[0] == Self.many + 1000)
    #expect(abs(values.mass.pointee - (Self.many + 1000) * 0.01) < 1e-3)
  }

  @Test("sums of moments")
  func moments() {
    let head = MomentHead(Moments(2), dim: 4)
    var random = SplitMix64(seed: 2)
    head.observe((0..<50).map { _ in random.normals(4) })
    let (key, value): ([Float], [Float]) = ([1, 0.5, -0.2, 0.1], [0.3, -0.1, 0.7, 0])
    head.melt([key], [value])
    let summary = head.summary
    let features = (0..<summary.table.count).map { summary.featureSums(of: 0)[$0] }
    let centred = (0..<4).map { key[$0] - summary.mean(of: 0)[$0] }
    for feature in features.indices {
      summary.featureSums(of: 0)[feature] = Self.many * features[feature]
      for index in 0..<4 {
        summary.valueSums(of: 0)[feature * 4 + index] = Float(Self.many * features[feature] * Double(value[index]))
      }
    }
    for index in 0..<4 { summary.driftSums(of: 0)[index] = Float(Self.many * Double(centred[index])) }
    let before = (0..<4).map { (summary.valueSums(of: 0)[$0], summary.driftSums(of: 0)[$0]) }
    let count = 50_000
    for _ in 0..<count { head.melt([key], [value]) }
    for (feature, number) in features.enumerated() {
      let expected = (Self.many + Double(count)) * number
      #expect(abs(summary.featureSums(of: 0)[feature] - expected) < 1e-9 * max(1, abs(expected)))
    }
    for index in 0..<4 {
      let grown = (
        Double(summary.valueSums(of: 0)[index] - before[index].0),
        Double(summary.driftSums(of: 0)[index] - before[index].1)
      )
      // A sum of a random walk's steps: five deviations.
      let largest = 2 * sqrt(Double(count))
      #expect(abs(grown.0 - Double(count) * Double(value[index])) <= 5 * largest, "value \(index): \(grown.0)")
      #expect(abs(grown.1 - Double(count) * Double(centred[index])) <= 5 * largest, "drift \(index): \(grown.1)")
    }
  }

  @Test("a compressive memory")
  func compressive() throws {
    let shape = KVCache.Shape(layers: 1, queryHeads: 1, keyValueHeads: 1, headDim: 2)
    let cache = try KVCache(
      plan: KVCache.Plan("segment:1,compressive[gate=1]"), shape: shape, slotType: .float32, positions: .none)
    let attention = LocalAttention(shape: shape, team: try WorkerTeam(threads: 1), kernels: .current)
    var output: [Float] = [0, 0]
    let step = {
      attention.beginStep(cache, rows: 1)
      attention.begin(layer: 0, queries: [0, 0])
      attention.finish(layer: 0, keys: [-1, 0.3], values: [0.2, -0.4], output: &output)
    }
    for _ in 0..<2 { step() }
    let state = try #require(cache.groups[0].state(CompressiveState.self))
    // M and z of one segment of one token.
    let one = (0..<6).map { Double(state.memory(place: 0)[$0]) }
    #expect(one.allSatisfy { $0 != 0 })
    for index in 0..<6 { state.memory(place: 0)[index] = Float(Self.many * one[index]) }
    let before = (0..<6).map { Double(state.memory(place: 0)[$0]) }
    for _ in 0..<20_000 { step() }
    for index in 0..<6 {
      let grown = Double(state.memory(place: 0)[index]) - before[index]
      #expect(abs(grown / (20_000 * one[index]) - 1) < 1e-3, "\(index): \(grown)")
    }
  }

  @Test(
    "sums of attention", arguments: ["h2o:12", "h2o:12[positions=clipped]", "sketch:512", "cascading:20/4[gamma=1]"])
  func scores(plan: String) throws {
    let subject = MatrixSubject(
      plan: try KVCache.Plan(plan), slotType: .float32, attention: try MatrixSubject.attention(threads: 1))
    let (cache, other) = (try subject.makeCache(), try subject.makeCache())
    for cache in [cache, other] { _ = subject.drive(cache, 0..<8, .ones) }
    let (scores, small) = (
      try #require(cache.groups[0].state(ScoreState.self)).scores,
      try #require(other.groups[0].state(ScoreState.self)).scores
    )
    for index in 0..<scores.count where scores[index] > 0 { scores[index] += Double(Self.many) }
    // Everything fits: tokens move on, but nothing is decided, and scores only grow.
    for cache in [cache, other] { _ = subject.drive(cache, 8..<12, .ones) }
    var large = 0
    for index in 0..<scores.count where Double(scores[index]) > Self.many / 2 {
      large += 1
      let (grown, expected) = (Double(scores[index]) - Self.many, Double(small[index]))
      #expect(abs(grown - expected) < 1e-6, "\(index): \(grown) instead of \(expected)")
    }
    #expect(large == 8 * 4)
  }
}
