import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// What a cascade can hold of a fact that stands in a row of tokens, however well its scores choose: docs/measurements.md
/// prints the table.
@Suite("Density of a cascade")
struct CascadeDensityTests {
  private struct Token {
    var index: Int
    var score: UInt64
  }

  /// A cascade of one head in which the cache's stages decide and given scores settle contests.
  private struct Cascade {
    private var stages: [any Stage]
    private let capacity: Int
    /// `[level][slot]`
    private(set) var slots: [[Token?]]

    init(levels: Int, size: Int) throws {
      let plan = try KVCache.Plan("cascading:\(levels * size)/\(levels)[sinks=0]")
      stages = plan.stages.map { $0.blueprint.makeStage() }
      capacity = levels * size
      slots = [[Token?]](repeating: [Token?](repeating: nil, count: size), count: levels)
    }

    mutating func insert(_ token: Token) throws {
      var token = token
      var arrival = Arrival(
        clock: Int64(token.index), streamIndex: Int64(token.index), cacheIsFilling: token.index <= capacity)
      for level in stages.indices {
        switch stages[level].accept(arrival) {
        case .take(let slot, _):
          slots[level][slot] = token
          return
        case .contest(let slot, _):
          if token.score >= (try #require(slots[level][slot])).score { slots[level][slot] = token }
          return
        case .exchange(let slot, _, let fallingClock):
          let falling = try #require(slots[level][slot])
          slots[level][slot] = token
          token = falling
          arrival.clock = fallingClock
        case .challenge, .absorb, .pass: Issue.record("no decision of a cascade")
        }
      }
    }
  }

  /// The number of the run of tokens of which a level keeps one: runs of 2^level tokens, counted from place `size` on.
  private static func run(of token: Int, level: Int, size: Int) -> Int {
    (token - size) >> level
  }

  @Test("a level keeps the best of each run of 2^level tokens, and nothing else", arguments: 1...6, [3, 4, 7])
  func bestOfRun(level: Int, size: Int) throws {
    for seed in 0..<3 {
      var random = SplitMix64(seed: UInt64(seed))
      var cascade = try Cascade(levels: level + 1, size: size)
      // Past the eager fill, which keeps more, by the whole span.
      let tokens = (0..<3 * size << (level + 1)).map { Token(index: $0, score: random.next() % 50) }
      for token in tokens { try cascade.insert(token) }
      let held = cascade.slots[level].compactMap { $0?.index }.sorted()
      #expect(held.count == size)
      // The newest slot is still contested.
      for index in held.dropLast() {
        let run = Self.run(of: index, level: level, size: size)
        let rivals = tokens.filter { Self.run(of: $0.index, level: level, size: size) == run }
        #expect(rivals.count == 1 << level)
        // Every pair, and every pair of pairs' winners: the newer one of equals stays.
        let best = rivals.map(\.score).max()
        #expect(index == rivals.last { $0.score == best }?.index)
      }
      let runs = held.map { Self.run(of: $0, level: level, size: size) }
      #expect(zip(runs, runs.dropFirst()).allSatisfy { $0 + 1 == $1 }, "\(runs)")
    }
  }

  /// A number said several times in a row of tokens.
  struct Needle: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// Where each of its copies starts.
    let copies: [Int]
    /// Tokens of the number.
    let digits: Int
    /// The share of cases in which one head holds the whole number, at levels 1 to 6.
    let shares: [Double]
  }

  /// Places in the tokens of `--needle plain` and `--needle cascade` in the default model's vocabulary, which has a token
  /// for each digit; where a key has two tokens, as in Llama 3's, a copy is three shorter.
  static let needles = [
    Needle(testDescription: "twice, five tokens", copies: [5, 15], digits: 5, shares: [0.25, 0, 0, 0, 0, 0]),
    Needle(
      testDescription: "six times, five tokens", copies: [19, 26, 43, 67, 74, 91], digits: 5,
      shares: [0.95, 0.61, 0.28, 0.08, 0, 0]),
    Needle(
      testDescription: "six times, two tokens", copies: [19, 23, 37, 58, 62, 76], digits: 2,
      shares: [1, 1, 0.95, 0.90, 0.71, 0.45]),
  ]

  /// By the rule above, with perfect scores: tokens of the number win against all others, and by chance among themselves.
  @Test("the share of cases in which a head can hold a whole number", arguments: needles)
  func shares(of needle: Needle) {
    var random = SplitMix64(seed: 1)
    for level in 1...6 {
      let cases = 20_000
      var whole = 0
      for _ in 0..<cases {
        let offset = Int(random.next() % (1 << UInt64(level)))
        // Of each run the best score, and which token of the number it is.
        var best: [(score: UInt64, digit: Int)?] = Array(repeating: nil, count: 128)
        for copy in needle.copies {
          for digit in 0..<needle.digits {
            let (run, score) = ((copy + digit + offset) >> level, random.next())
            if score >= best[run]?.score ?? 0 { best[run] = (score, digit) }
          }
        }
        if Set(best.compactMap { $0?.digit }).count == needle.digits { whole += 1 }
      }
      let share = Double(whole) / Double(cases)
      #expect(abs(share - needle.shares[level - 1]) < 0.015, "level \(level): \(share)")
    }
  }
}
