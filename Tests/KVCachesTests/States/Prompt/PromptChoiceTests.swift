import Testing

@testable import KVCaches

@Suite("Choosing what is kept of a prompt")
struct PromptChoiceTests {
  static let votes: [Float] = [1, 9, 2, 0, 0, 3, 4, 0, 0, 5]

  private func pooled(_ votes: [Float], _ pooling: Prompt.Pooling) -> [Float] {
    var pooled = [Float](repeating: .nan, count: votes.count)
    PromptChoice.pool(votes, count: votes.count, by: pooling, into: &pooled)
    return pooled
  }

  private func chosen(
    _ scores: [[Float]], budget: Int, _ budgets: Prompt.HeadBudgets = .uniform
  ) -> [[Int]] {
    var heads: [Range<Int>] = []
    for score in scores { heads.append((heads.last?.upperBound ?? 0)..<(heads.last?.upperBound ?? 0) + score.count) }
    let marks = PromptChoice.choose(scores.flatMap { $0 }, heads: heads, budget: budget, budgets)
    return heads.map { head in head.filter { marks[$0] }.map { $0 - head.lowerBound } }
  }

  @Test(
    "the table of the specification",
    arguments: [
      (Prompt.Pooling.none, votes, [1, 5, 6, 9]),
      (.average(kernel: 3), [10, 12, 11, 2, 3, 7, 7, 4, 5, 5].map { $0 / 3 }, [0, 1, 2, 5]),
      (.maximum(kernel: 3), [9, 9, 9, 2, 3, 4, 4, 4, 5, 5], [0, 1, 2, 8]),
      (.average(kernel: 5), [12, 12, 12, 14, 9, 7, 7, 12, 9, 5].map { $0 / 5 }, [0, 1, 2, 3]),
      (.maximum(kernel: 5), [9, 9, 9, 9, 4, 4, 4, 5, 5, 5], [0, 1, 2, 3]),
    ] as [(Prompt.Pooling, [Float], [Int])])
  func golden(pooling: Prompt.Pooling, expected: [Float], kept: [Int]) {
    let scores = pooled(Self.votes, pooling)
    #expect(scores == expected)
    #expect(chosen([scores], budget: 4) == [kept])
  }

  @Test("broken votes lose, and a kernel may be wider than the prompt")
  func edges() {
    #expect(pooled([.nan, 1, -.infinity], .none) == [-.infinity, 1, -.infinity])
    #expect(pooled([.nan, 1, 2], .maximum(kernel: 3)) == [1, 2, 2])
    #expect(pooled([1, 2], .maximum(kernel: 9)) == [2, 2])
    #expect(pooled([1, 2], .average(kernel: 3)) == [1, 1])
    #expect(chosen([[-.infinity, -.infinity, 3]], budget: 2) == [[0, 2]])
  }

  @Test("of equal scores the first are chosen; every budget of every small list")
  func ties() {
    for code in 0..<256 {
      let scores = (0..<4).map { Float(code >> (2 * $0) & 3) }
      for budget in 0...5 {
        let ranked = scores.indices.sorted { scores[$0] != scores[$1] ? scores[$0] > scores[$1] : $0 < $1 }
        #expect(chosen([scores], budget: budget) == [ranked.prefix(budget).sorted()])
      }
    }
  }

  @Test("heads share a layer's budget by their votes, and each keeps a fifth of an even share")
  func adaptive() {
    let strong = (0..<20).map { Float(100 - $0) }
    let weak = (0..<20).map { Float(20 - $0) / 100 }
    #expect(chosen([strong, weak], budget: 10, .floor) == [Array(0..<18), [0, 1]])
    #expect(chosen([weak, strong], budget: 10, .floor) == [[0, 1], Array(0..<18)])
    #expect(chosen([strong, weak], budget: 4, .floor) == [Array(0..<8), []])
    #expect(chosen([[1, 1, 1], [1, 1, 1]], budget: 2, .floor) == [[0, 1, 2], [0]])
    #expect(chosen([Array(strong.prefix(3)), weak], budget: 10, .floor) == [[0, 1, 2], Array(0..<17)])
    #expect(chosen([strong, weak], budget: 10, .adaptive) == [Array(0..<18), [0, 1]])
    #expect(chosen([weak, strong], budget: 10, .adaptive) == [[0, 1], Array(0..<18)])
    // 0.8 × 8 and nothing for certain.
    #expect(chosen([strong, weak], budget: 4, .adaptive) == [Array(0..<6), []])
    // A head that has fewer tokens than its share leaves the rest.
    #expect(chosen([Array(strong.prefix(3)), weak], budget: 10, .adaptive) == [[0, 1, 2], Array(0..<16)])
    #expect(chosen([[1, 2], [1, 2]], budget: 2, .adaptive) == [[0, 1], [0, 1]])
  }

  /// The authors' mixture tells from a floor where a head wins more than the floor and less than everything.
  @Test(
    "of the 20 largest of 40 votes 14 lie in one head: 13 and 7 under the authors' budgets, 14 and 6 under a floor",
    arguments: [(Prompt.HeadBudgets.adaptive, [13, 7]), (.floor, [14, 6]), (.uniform, [10, 10])])
  func sharing(budgets: Prompt.HeadBudgets, expected: [Int]) {
    // Votes of 21 to 40 win; A has 14 of them.
    let a = (27...40).map { Float($0) } + (1...6).map { Float($0) }
    let b = (21...26).map { Float($0) } + (7...20).map { Float($0) }
    #expect(chosen([a.reversed(), b], budget: 10, budgets).map(\.count) == expected)
    #expect(chosen([b, a], budget: 10, budgets).map(\.count) == expected.reversed())
  }

  /// round(n × (1 - 0.2) + int(0.2 × b)) as their code computes it, in Double, for every n and b.
  @Test("budgets are the authors', number by number")
  func authorsBudgets() {
    for budget in 0...600 {
      for won in 0...4 * budget {
        let expected = (Double(won) * (1 - 0.2) + Double(Int(Double(budget) * 0.2))).rounded(.toNearestOrEven)
        if PromptChoice.adaptiveBudget(won: won, budget: budget) != Int(expected) {
          Issue.record(
            "\(won) won of \(budget): \(PromptChoice.adaptiveBudget(won: won, budget: budget)), not \(expected)")
        }
      }
    }
  }

  @Test("a pyramid falls linearly, keeps the total, and never gives a layer more than there is")
  func pyramid() {
    #expect(PromptChoice.budgets(.uniform, mean: 7, available: 9, layers: 3) == [7, 7, 7])
    #expect(PromptChoice.budgets(.pyramid, mean: 7, available: 90, layers: 1) == [7])
    #expect(PromptChoice.budgets(.pyramid, mean: 100, available: 1000, layers: 5) == [195, 147, 100, 53, 5])
    #expect(PromptChoice.budgets(.pyramid, mean: 100, available: 120, layers: 5) == [120, 110, 100, 90, 80])
    #expect(PromptChoice.budgets(.pyramid, mean: 100, available: 100, layers: 5) == [100, 100, 100, 100, 100])
    for layers in 2..<9 {
      for mean in 0..<50 {
        for available in mean..<100 {
          let budgets = PromptChoice.budgets(.pyramid, mean: mean, available: available, layers: layers)
          #expect(budgets.reduce(0, +) == layers * mean)
          #expect(budgets.allSatisfy { $0 >= 0 && $0 <= available })
          #expect(zip(budgets, budgets.dropFirst()).allSatisfy { $0 >= $1 - 1 })
        }
      }
    }
  }
}
