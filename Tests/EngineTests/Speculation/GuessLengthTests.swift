import Testing

@testable import Engine

@Suite struct GuessLengthTests {
  private static let costs = GuessCosts(step: 0.1, row: 0.12)

  /// How many times as many tokens a unit of cost gives with so many guesses.
  private func gain(_ length: GuessLength, _ matched: Int, _ count: Int, _ costs: GuessCosts) -> Double {
    var expected = 1.0
    for last in 0..<count {
      expected += (0...last).map { length.chance(matched + $0) }.reduce(1, *)
    }
    return count == 0 ? 1 : expected / (1 + costs.step + costs.row * Double(count))
  }

  @Test func `the length is the one that promises most, and none where that is little`() {
    for costs in [Self.costs, GuessCosts(step: 0, row: 0.01), GuessCosts(step: 0.5, row: 0.5)] {
      for hits in 0...40 {
        var length = GuessLength(costs: costs)
        for matched in 2...16 {
          for outcome in 0..<40 { length.note(matched, cameTrue: outcome % 40 < hits) }
        }
        for matched in 2...16 {
          for limit in [0, 1, 4, 16] {
            let best = length.best(behind: matched, limit: limit)
            let gains = (0...limit).map { gain(length, matched, $0, costs) }
            #expect(best <= limit)
            if best == 0 {
              #expect(gains.allSatisfy { $0 <= GuessLength.leastGain + 1e-12 })
            } else {
              #expect(gains[best] > GuessLength.leastGain && gains[best] >= (gains.max() ?? 0) - 1e-12)
            }
          }
        }
      }
    }
  }

  @Test func `guesses that fail end, and those that come true grow long`() {
    var length = GuessLength(costs: Self.costs)
    for matched in 2...16 {
      for _ in 0..<100 { length.note(matched, cameTrue: false) }
    }
    for matched in 2...16 { #expect(length.best(behind: matched, limit: 16) == 0) }
    for matched in 2...16 {
      for _ in 0..<100 { length.note(matched, cameTrue: true) }
    }
    for matched in 2...16 { #expect(length.best(behind: matched, limit: 16) == 16) }
  }

  @Test func `short matches are judged apart from long ones`() {
    var length = GuessLength(costs: Self.costs)
    for _ in 0..<100 {
      length.note(2, cameTrue: false)
      length.note(20, cameTrue: true)
    }
    #expect(length.best(behind: 2, limit: 16) == 0 && length.best(behind: 16, limit: 16) == 16)
  }
}
