import SluiceCommand
import Testing

@Suite("Rounds of a demo")
struct DemoRoundsTests {
  /// Readers that take a + b n seconds for a token after n others, on a clock of their own.
  private final class Readers {
    let costs: [(base: Double, growth: Double)]
    private(set) var now = Duration.zero
    private(set) var read: [[Range<Int>]]

    init(_ costs: [(base: Double, growth: Double)]) {
      self.costs = costs
      read = Array(repeating: [], count: costs.count)
    }

    func take(_ reader: Int, _ range: Range<Int>) {
      let (base, growth) = costs[reader]
      let (first, last) = (Double(range.lowerBound), Double(range.upperBound))
      now += .seconds(base * (last - first) + growth * (last * last - first * first) / 2)
      read[reader].append(range)
    }

    func rounds(tokens: Int = 16_000, enough: Int = 12_000, limit: Int = 110) -> DemoRounds {
      var rounds = DemoRounds(
        caches: costs.count, tokens: tokens, chunk: 500, enough: enough, limit: .seconds(limit), optional: [3, 1],
        now: { self.now })
      rounds.run(take) { _ in }
      return rounds
    }

    /// What a reader has read, which is to be all from the start.
    func tokens(_ reader: Int) -> Int {
      for (index, range) in read[reader].enumerated() {
        #expect(range.lowerBound == (index == 0 ? 0 : read[reader][index - 1].upperBound))
      }
      return read[reader].last?.upperBound ?? 0
    }
  }

  @Test("with time enough all read all of the text, in turn")
  func allOfTheText() {
    let readers = Readers(Array(repeating: (1e-4, 0), count: 4))
    let rounds = readers.rounds(tokens: 15_999)
    #expect((0..<4).map(readers.tokens) == [15_999, 15_999, 15_999, 15_999])
    #expect(rounds.position == 15_999 && rounds.reading == [0, 1, 2, 3] && rounds.goal == 15_999)
  }

  @Test("the text ends where the time does, for all at the same token")
  func timeEnds() {
    // To n tokens all take 0.006 n + 1.25e-7 n² seconds: 108.5 for 14,000, 113.3 for one round more.
    let readers = Readers([(0.0015, 2.5e-7), (0.0015, 0), (0.0015, 0), (0.0015, 0)])
    let rounds = readers.rounds(tokens: 100_000)
    #expect((0..<4).map(readers.tokens) == [14_000, 14_000, 14_000, 14_000])
    #expect(readers.now <= .seconds(110) && rounds.reading.count == 4)
  }

  @Test("what is there only to compare with stays behind, as little of it as is enough")
  func staysBehind() {
    // To 12,000 tokens: 46.8 + 24 + 24 + 48 seconds are too many, and enough without the last after 2,000.
    let slow = Readers([(0.0015, 4e-7), (0.002, 0), (0.002, 0), (0.004, 0)])
    #expect(slow.rounds().reading == [0, 1, 2])
    #expect(slow.tokens(0) >= 12_000 && slow.tokens(0) == slow.tokens(2) && slow.tokens(3) == 2_000)
    // 73.2 + 36 + 36 + 72.
    let slower = Readers([(0.0025, 6e-7), (0.003, 0), (0.003, 0), (0.006, 0)])
    #expect(slower.rounds(limit: 140).reading == [0, 2])
    #expect(slower.tokens(0) >= 12_000 && slower.tokens(0) == slower.tokens(2))
    #expect(slower.now <= .seconds(140))
  }

  @Test("the time is kept where nothing can be enough, and the first round is read anyway")
  func neverEnough() {
    let readers = Readers([(0.01, 1e-6), (0.005, 0), (0.005, 0), (0.01, 0)])
    let rounds = readers.rounds()
    #expect(rounds.reading == [0, 2] && rounds.position < 12_000 && readers.now <= .seconds(110))
    let slowest = Readers([(1, 0), (1, 0), (1, 0), (1, 0)])
    #expect(slowest.rounds().position == 500 && slowest.read.allSatisfy { $0.count == 1 })
  }

  @Test("a text too short to show the point keeps nobody back")
  func shortText() {
    let readers = Readers([(0.01, 0), (0.01, 0), (0.01, 0), (0.01, 0)])
    #expect(readers.rounds(tokens: 4000).reading == [0, 1, 2, 3])
    #expect(readers.tokens(0) == 2500 && readers.now == .seconds(100))
  }

  @Test("one line tells how all of them stand")
  func status() {
    let status = DemoStatus(
      tokens: 8192, goal: 12_288, secondsLeft: 56.2,
      caches: [
        .init(name: "full", cacheBytes: 180 << 20, perplexity: 27.06),
        .init(name: "window:512", cacheBytes: 11 << 20, perplexity: 42.5),
        .init(name: "recompute:512/256", cacheBytes: 0, perplexity: nil),
      ])
    #expect(
      status.text(perSecond: nil)
        == "8,192 of about 12,288 tokens  0:56 left  perplexity:  full 27.1 (180.0 MiB)  window:512 42.5 (11.0 MiB)")
  }
}
