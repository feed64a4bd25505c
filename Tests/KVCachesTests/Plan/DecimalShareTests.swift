import Testing

@testable import KVCaches

/// Shares are written as decimals and counted as one would by hand, whatever floats make of them.
@Suite("Decimal shares of counts")
struct DecimalShareTests {
  @Test("a ratio of 0.9 keeps 100 of 1,000, and every other one what whole numbers say")
  func ratios() throws {
    #expect(try #require(KVCache.Plan("snapkv[ratio=0.9,window=1]").prompt).keptTokens(of: 1001) == 101)
    for thousandths in 0...1000 {
      let plan = try KVCache.Plan("snapkv[ratio=\(thousandths / 1000).\("00\(thousandths % 1000)".suffix(3)),window=1]")
      let prompt = try #require(plan.prompt)
      for count in Array(1...200) + [500, 999, 1000, 1250, 4096, 10_000, 131_072, 1_000_000] {
        let kept = (1000 - thousandths) * count / 1000
        if prompt.keptTokens(of: count + 1) != kept + 1 {
          Issue.record("of \(count) tokens \(plan) keeps \(prompt.keptTokens(of: count + 1) - 1), not \(kept)")
        }
      }
    }
  }

  @Test("a sparsity of 0.35 spares 32 of 90 heads, and every other one what whole numbers say")
  func sparsities() throws {
    for count in Array(1...40) + [90, 180, 250, 256] {
      let mask = try HeadMask(text: (0..<count).map { "\($0)" }.joined(separator: " "), name: "m")
      for hundredths in 0...100 {
        let share = try #require(Double("\(hundredths)e-2"))
        let spared = (2 * hundredths * count + 100) / 200
        if mask.heads(sparing: share).others.count != spared {
          Issue.record("\(share) of \(count) heads are \(mask.heads(sparing: share).others.count), not \(spared)")
        }
      }
    }
  }
}
