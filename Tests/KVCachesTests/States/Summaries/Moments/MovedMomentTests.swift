import CacheTestSupport
import Foundation
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// Moments of keys that lie elsewhere than those that came while the cache filled.
@Suite("Moments of keys that have moved")
struct MovedMomentTests {
  private static let dim = 8

  private static func keys(_ count: Int, mean: [Float], seed: UInt64) -> [[Float]] {
    var random = SplitMix64(seed: seed)
    return (0..<count).map { _ in zip(mean, random.normals(mean.count)).map { $0 + $1 } }
  }

  /// Attention by the polynomial that fits the logits, token by token in Float64.
  private func exact(_ query: [Float], _ keys: [[Float]], _ values: [[Float]]) -> MomentHead.Answer {
    let logits = keys.map { dot($0, query) }
    let mean = logits.reduce(0, +) / Double(logits.count)
    let variance = logits.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(logits.count)
    let spread = HermiteExponentialTests.Spread(mean: mean, variance: variance)
    // The common factor is left out, which would overflow.
    let centred = HermiteExponentialTests.Spread(mean: 0, variance: spread.variance)
    let weights = logits.map { HermiteExponentialTests.definition(centred, at: $0 - mean) }
    let sum = weights.reduce(0, +)
    return MomentHead.Answer(
      logSum: mean + log(sum),
      output: query.indices.map { index in zip(weights, values).reduce(0) { $0 + $1.0 * Double($1.1[index]) } / sum })
  }

  @Test("the answer does not depend on how far keys have moved", arguments: [0, 20, 40, 1000] as [Float], [1, 3])
  func movedInside(shift: Float, parts: Int) {
    let observed = Self.keys(400, mean: [Float](repeating: 0, count: Self.dim), seed: 1)
    // In parts, of which each has moved on, the spread is that of all.
    let steps = parts == 1 ? [shift] : (0..<parts).map { shift + Float($0) }
    let keys = steps.enumerated().flatMap {
      Self.keys(2000, mean: [Float](repeating: $1, count: Self.dim), seed: UInt64(2 + $0))
    }
    var random = SplitMix64(seed: 9)
    let values = keys.map { key in zip(random.normals(Self.dim), key).map { 0.3 * $0 + tanh($1 - shift) } }
    let head = MomentHead(Moments(Self.dim, weight: 1 << 20), dim: Self.dim)
    head.observe(observed)
    head.melt(keys, values)
    for _ in 0..<10 {
      let query = random.normals(Self.dim, scale: 0.2)
      let (found, expected) = (head.attend([query])[0], exact(query, keys, values))
      let error = length(zip(found.output, expected.output).map { $0 - $1 }) / length(expected.output)
      #expect(error < 1e-3, "moved by \(shift): \(error)")
      #expect(abs(found.logSum - expected.logSum) < 1e-3 * max(1, abs(expected.logSum)), "moved by \(shift)")
    }
  }

  @Test("where keys have moved in a direction that was dropped counts", arguments: [0, 5, -5] as [Float])
  func movedOutside(shift: Float) {
    var random = SplitMix64(seed: 3)
    let key = { [3 * random.normal(), 3 * random.normal()] + random.normals(6, scale: 0.1) }
    let observed = (0..<500).map { _ in key() }
    let head = MomentHead(Moments(2), dim: Self.dim)
    head.observe(observed)
    let melted = (0..<1000).map { _ in
      var moved = key()
      moved[7] += shift
      return moved
    }
    head.melt(melted, melted)
    var query = [Float](repeating: 0, count: Self.dim)
    query[7] = 0.4
    let expected = log(melted.reduce(0) { $0 + exp(dot($1, query)) })
    let found = head.attend([query])[0]
    #expect(abs(found.logSum - expected) < 0.02, "\(found.logSum) instead of \(expected)")
  }

  @Test(
    "directions need keys to be taken from",
    arguments: [
      ("window:2,moments:16", 20), ("window:19,moments:16", 20), ("sinks:4,window:2,scored:9,moments:12", 16),
    ])
  func tooFewKeys(specification: String, least: Int) throws {
    let error = #expect(throws: KVCacheError.self) { try KVCache.Plan(specification) }
    #expect(error?.description.contains("need \(least) slots") == true)
    #expect(throws: Never.self) { try KVCache.Plan("window:20,moments:16") }
  }
}
