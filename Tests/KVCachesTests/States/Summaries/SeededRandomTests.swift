import Foundation
import Testing

@testable import KVCaches

@Suite("Random numbers of summaries")
struct SeededRandomTests {
  @Test(
    "a binomial number is what so many coins would show",
    arguments: [(1, 0.3), (2, 0.5), (7, 0.5), (20, 0.93), (100, 0.01), (64, 1.0 / 3), (5000, 0.4), (3000, 0.0004)])
  func binomial(count: Int, p: Double) {
    let draws = 20_000
    var histogram = [Int](repeating: 0, count: count + 1)
    var random = SeededRandom(seed: 5, head: count)
    for _ in 0..<draws { histogram[random.binomial(count, p)] += 1 }
    let probabilities = (0...count).map { (heads: Int) -> Double in
      let ways = lgamma(Double(count + 1)) - lgamma(Double(heads + 1)) - lgamma(Double(count - heads + 1))
      return exp(ways + Double(heads) * log(p) + Double(count - heads) * log(1 - p))
    }
    let test = chiSquare(histogram, expected: probabilities.map { $0 * Double(draws) })
    #expect(test.value < rareChiSquare(degrees: test.degrees), "\(count) \(p)")
  }

  @Test("certain coins")
  func certain() {
    var random = SeededRandom(seed: 1, head: 0)
    for count in [0, 1, 9, 1 << 28] {
      #expect(random.binomial(count, 0) == 0)
      #expect(random.binomial(count, 1) == count)
      #expect(random.binomial(count, .nan) == 0)
    }
    #expect(random.binomial(1 << 28, 1e-300) == 0)
    #expect(random.binomial(1 << 28, 0x1p-60) == 0)
  }

  @Test("every choice of slots is equally likely")
  func choices() {
    var random = SeededRandom(seed: 6, head: 0)
    for (chosen, count) in [(0, 3), (1, 5), (2, 6), (3, 6), (6, 6)] {
      var histogram: [Int: Int] = [:]
      for _ in 0..<6000 {
        var mask = 0
        random.choose(chosen, of: count) { mask |= 1 << $0 }
        histogram[mask, default: 0] += 1
      }
      #expect(histogram.keys.allSatisfy { $0.nonzeroBitCount == chosen })
      let choices = (0..<1 << count).filter { $0.nonzeroBitCount == chosen }
      guard choices.count > 1 else { continue }
      let test = chiSquare(
        choices.map { histogram[$0] ?? 0 },
        expected: choices.map { _ in 6000 / Double(choices.count) })
      #expect(test.value < rareChiSquare(degrees: test.degrees), "\(chosen) of \(count)")
    }
  }

  @Test("heads and seeds draw other numbers, a saved state the same")
  func states() {
    var first: Set<UInt64> = []
    for seed in 0..<20 as Range<UInt64> {
      for head in 0..<50 {
        var random = SeededRandom(seed: seed, head: head)
        first.insert(random.next())
      }
    }
    #expect(first.count == 1000)
    var random = SeededRandom(seed: 3, head: 1)
    _ = random.next()
    var saved = SeededRandom(state: random.state)
    #expect((0..<5).map { _ in random.next() } == (0..<5).map { _ in saved.next() })
    #expect((0..<1000).allSatisfy { _ in (0..<1).contains(random.uniform()) })
  }
}
