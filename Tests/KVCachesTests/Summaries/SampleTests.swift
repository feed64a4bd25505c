import Foundation
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// Uniform and balanced samples, one head by hand.
@Suite("Samples of tokens")
struct SampleTests {
  static func uniform(_ capacity: Int, headDim: Int = 4, seed: UInt64 = 0) -> SummaryHead<ReservoirSummary> {
    SummaryHead(
      ReservoirSummary(capacity: capacity, seed: seed, shape: .single(headDim: headDim), slotType: .float32))
  }

  static func balanced(_ capacity: Int, headDim: Int = 4, seed: UInt64 = 0) -> SummaryHead<BalancedSummary> {
    SummaryHead(BalancedSummary(capacity: capacity, seed: seed, shape: .single(headDim: headDim), slotType: .float32))
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
    let answers: [(String, (UInt64) -> [Double])] = [
      ("uniform", { seed in Self.sums(Self.uniform(12, seed: seed), tokens, query) }),
      ("balanced", { seed in Self.sums(Self.balanced(12, seed: seed), tokens, query) }),
    ]
    for (name, answer) in answers {
      let runs = 2000
      var (sums, squares) = ([Double](repeating: 0, count: 5), [Double](repeating: 0, count: 5))
      for seed in 0..<UInt64(runs) {
        for (index, value) in answer(seed).enumerated() {
          sums[index] += value
          squares[index] += value * value
        }
      }
      for (index, expected) in (exact.numerator + [exact.denominator]).enumerated() {
        let mean = sums[index] / Double(runs)
        let standardError = ((squares[index] / Double(runs) - mean * mean) / Double(runs)).squareRoot()
        #expect(abs(mean - expected) <= 4 * standardError, "\(name) \(index): \(mean) instead of \(expected)")
      }
    }
  }

  private static func sums<Summary>(
    _ head: SummaryHead<Summary>, _ tokens: [Token], _ query: [Float]
  ) -> [Double] {
    tokens.forEach(head.melt)
    let answer = head.attend(query)
    return answer.numerator + [answer.denominator]
  }

  @Test("balanced tokens stand for all that came, in as many slots as there are", arguments: [1, 2, 3, 5, 16, 40])
  func weightIsPreserved(capacity: Int) {
    var random = SplitMix64(seed: 2)
    let head = Self.balanced(capacity)
    for step in 1...2000 {
      head.melt(Token.random(dim: 4, using: &random))
      let tokens = head.summary.tokens(0)
      #expect(tokens.used <= capacity)
      let weight = (0..<tokens.used).reduce(0.0) { $0 + pow(2, Double(tokens.levels[$1])) }
      // Below some slots more levels are needed than there are slots, and a coin decides.
      if capacity >= 16 { #expect(weight == Double(step)) }
      for slot in 0..<tokens.used { #expect(tokens.logWeights[slot] == Float(tokens.levels[slot]) * Float(log(2.0))) }
    }
    head.melt(Token(key: [.nan, 0, 0, 0], value: [0, 0, 0, 0]))
    let output = head.attend([1, 0, 0, 0]).output
    #expect(output.allSatisfy { $0.isFinite })
  }

  /// What the walk is for: smooth queries see smaller errors than from as large a uniform sample.
  @Test("balanced samples err less than uniform ones", arguments: [(64, 512), (256, 1024)])
  func balance(capacity: Int, count: Int) {
    var random = SplitMix64(seed: 3)
    let tokens = (0..<count).map { _ in
      Token(key: random.normals(4, scale: 0.7), value: random.normals(4).map { 1 + $0 })
    }
    let queries = (0..<20).map { _ in random.normals(4, scale: 0.5) }
    let exact = queries.map { ExactSums(tokens, query: $0).output }
    var (uniform, balanced) = (0.0, 0.0)
    for seed in 0..<40 as Range<UInt64> {
      let heads = (Self.uniform(capacity, seed: seed), Self.balanced(capacity, seed: seed))
      for token in tokens {
        heads.0.melt(token)
        heads.1.melt(token)
      }
      for (query, exact) in zip(queries, exact) {
        uniform += length(zip(heads.0.attend(query).output, exact).map { Double($0) - $1 })
        balanced += length(zip(heads.1.attend(query).output, exact).map { Double($0) - $1 })
      }
    }
    #expect(balanced < 0.9 * uniform, "\(balanced / uniform)")
  }

  @Test("keys of any size are balanced without infinities")
  func extremes() {
    var random = SplitMix64(seed: 4)
    let head = Self.balanced(8)
    for step in 0..<100 { head.melt(Token.random(dim: 4, scale: step % 3 == 0 ? 1e15 : 1, using: &random)) }
    #expect(head.summary.tokens(0).used == 8)
  }
}
