import Evaluation
import Testing

@Suite struct WilsonIntervalTests {
  @Test("Its ends are where the observed share is as many deviations away", arguments: [1, 5, 20, 100])
  func ends(cases: Int) {
    for successes in 0...cases {
      let interval = WilsonInterval(successes: successes, of: cases, deviations: 2)
      let share = Double(successes) / Double(cases)
      for end in [interval.lower, interval.upper] where end > 0 && end < 1 {
        let deviation = (end * (1 - end) / Double(cases)).squareRoot()
        #expect(abs(abs(share - end) - 2 * deviation) < 1e-12)
      }
      #expect(interval.lower <= share && share <= interval.upper)
      #expect(interval.lower > 0 || successes == 0)
      #expect(interval.upper < 1 || successes == cases)
    }
  }

  @Test("Published values of 95 % (Newcombe 1998, method 3)")
  func published() {
    let rows = [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)]
    for (successes, cases, lower, upper) in rows {
      let interval = WilsonInterval(successes: successes, of: cases)
      #expect(abs(interval.lower - lower) < 5e-5 && abs(interval.upper - upper) < 5e-5)
    }
  }

  @Test func nothingIsKnownOfNoCases() {
    #expect(WilsonInterval(successes: 0, of: 0) == WilsonInterval(successes: 0, of: 0))
    #expect(WilsonInterval(successes: 0, of: 0).upper == 1)
  }
}
