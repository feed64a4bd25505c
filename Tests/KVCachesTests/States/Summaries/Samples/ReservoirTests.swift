import Foundation
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// Uniform samples, one head by hand.
@Suite("Samples of tokens")
struct ReservoirTests {
  static func uniform(_ capacity: Int, headDim: Int = 4, seed: UInt64 = 0) -> SummaryHead<ReservoirSummary> {
    SummaryHead(
      ReservoirSummary(capacity: capacity, seed: seed, isClipped: true, StateSite(headDim: headDim)))
  }

  @Test("a reservoir holds every token with the same probability")
  func reservoirIsUniform() {
    let runs = 20_000
    var pairs = [Int](repeating: 0, count: 1 << 7)
    for seed in 0..<UInt64(runs) {
      let head = Self.uniform(2, headDim: 2, seed: seed)
      for index in 0..<7 { head.melt(Token(key: [Float(index), 0], value: [0, 0])) }
      #expect(head.summary.seen(0) == 7)
      var mask = 0
      for slot in 0..<2 {
        var key: [Float] = [0, 0]
        head.kernels.readKey(slot, of: head.summary.slots(0), to: &key)
        mask |= 1 << Int(key[0])
      }
      pairs[mask] += 1
    }
    let choices = pairs.indices.filter { $0.nonzeroBitCount == 2 }
    #expect(choices.reduce(0) { $0 + pairs[$1] } == runs)
    let test = chiSquare(choices.map { pairs[$0] }, expected: choices.map { _ in Double(runs) / 21 })
    #expect(test.value < rareChiSquare(degrees: test.degrees))
  }

  @Test("sums over samples are unbiased")
  func unbiased() {
    var random = SplitMix64(seed: 1)
    let tokens = (0..<60).map { _ in Token.random(dim: 4, scale: 0.7, using: &random) }
    let query = random.normals(4)
    let exact = ExactSums(tokens, query: query)
    let runs = 2000
    var (sums, squares) = ([Double](repeating: 0, count: 5), [Double](repeating: 0, count: 5))
    for seed in 0..<UInt64(runs) {
      let head = Self.uniform(12, seed: seed)
      tokens.forEach(head.melt)
      let answer = head.attend(query)
      for (index, value) in (answer.numerator + [answer.denominator]).enumerated() {
        sums[index] += value
        squares[index] += value * value
      }
    }
    for (index, expected) in (exact.numerator + [exact.denominator]).enumerated() {
      let mean = sums[index] / Double(runs)
      let standardError = ((squares[index] / Double(runs) - mean * mean) / Double(runs)).squareRoot()
      #expect(abs(mean - expected) <= 4 * standardError, "\(index): \(mean) instead of \(expected)")
    }
  }
}
