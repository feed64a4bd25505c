import Engine
import Kernels
import TestSupport
import Testing

@Suite struct PromptLookupTests {
  /// Where the longest group of at most four newest tokens last stood, searched for from the newest place on.
  private func reference(_ tokens: [Int32]) -> PromptLookup.Match? {
    let newest = tokens.reversed().map { $0 }
    for group in [4, 3, 2] where newest.count > group {
      for age in 1...newest.count - group {
        var length = 0
        while age + length < newest.count, length < PromptLookup.longest, newest[length] == newest[length + age] {
          length += 1
        }
        if length >= group { return PromptLookup.Match(back: age - 1, length: length) }
      }
    }
    return nil
  }

  @Test(arguments: [1 << 20, 64, 7], [2, 3, 5, 40])
  func `matches are those that a search finds`(limit: Int, alphabet: Int) {
    var random = SplitMix64(seed: UInt64(alphabet))
    var log = TokenLog(limit: limit)
    var (lookup, tokens): (PromptLookup, [Int32]) = (PromptLookup(), [])
    var (found, missed) = (0, 0)
    for step in 0..<1500 {
      // Several come between two look-ups, and some are taken back.
      for _ in 0...step % 3 {
        let token = Int32.random(in: 0..<Int32(alphabet), using: &random)
        log.append(token)
        tokens.append(token)
      }
      if step % 50 == 49, log.count > 5 {
        log.removeLast(5)
        tokens.removeLast(5)
        lookup.forget()
      }
      let expected = reference(Array(tokens.suffix(log.count)))
      let match = lookup.match(in: log)
      if match == expected {
        found += expected == nil ? 0 : 1
      } else {
        // Another group took the place in the table: a shorter or an older match is left.
        missed += 1
        #expect(expected != nil, "a match that is none, at \(step)")
        if let match {
          #expect((0..<match.length).allSatisfy { log[back: $0] == log[back: $0 + match.back + 1] })
        }
      }
    }
    #expect(found > 500 && missed * 20 < found, "\(found) found, \(missed) missed")
  }

  @Test func `what was taken back unsaid is never matched`() {
    var log = TokenLog()
    var lookup = PromptLookup()
    for token: Int32 in [1, 2, 3, 4, 1, 2] { log.append(token) }
    #expect(lookup.match(in: log) == PromptLookup.Match(back: 3, length: 2))
    // Without being told.
    log.removeLast(6)
    #expect(lookup.match(in: log) == nil)
    for token: Int32 in [1, 9, 9, 1, 2] { log.append(token) }
    #expect(lookup.match(in: log) == nil)
  }

  @Test func `memory is bounded, and grows with the text`() {
    var log = TokenLog(limit: 1 << 12)
    var lookup = PromptLookup()
    var random = SplitMix64(seed: 1)
    var bytes: Set<Int> = []
    for _ in 0..<20_000 {
      log.append(Int32.random(in: 0..<1000, using: &random))
      _ = lookup.match(in: log)
      bytes.insert(lookup.bytes)
    }
    #expect(bytes.min() == 1 << 14 && bytes.max() == 1 << 18)
  }
}
