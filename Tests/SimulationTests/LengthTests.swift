import Kernels
import Testing

@testable import Simulation

/// Chances, quantiles and the order of events.
struct LengthTests {
  @Test(arguments: [1, 1.5, 28, 12_035]) func `geometric lengths have their mean and variance`(mean: Double) {
    var random = SplitMix64(seed: 7)
    let values = (0..<200_000).map { _ in Double(random.geometric(mean: mean)) }
    let found = values.reduce(0, +) / Double(values.count)
    let variance = values.reduce(0) { $0 + ($1 - found) * ($1 - found) } / Double(values.count)
    #expect(abs(found / mean - 1) < 0.01 && values.allSatisfy { $0 >= 1 })
    let expected: Double = mean * (mean - 1)
    #expect(abs(variance - expected) <= 0.02 * expected)
  }

  @Test func `exponential times have their mean`() {
    var random = SplitMix64(seed: 7)
    let values: [Double] = (0..<200_000).map { _ in random.exponential(mean: 3) }
    let mean: Double = values.reduce(0, +) / 200_000
    let longer = Double(values.count { $0 > 3 }) / 200_000
    #expect(abs(mean - 3) < 0.03)
    #expect(abs(longer - 0.36788) < 0.005)
  }

  @Test(arguments: RequestTrace.Spread.allCases) func `means over time are those of simulated requests`(
    spread: RequestTrace.Spread
  ) {
    let trace = RequestTrace(name: "a", prompt: 50, output: 20, spread: spread)
    var random = SplitMix64(seed: 3)
    var (steps, context, reserved) = (0.0, 0.0, 0.0)
    for _ in 0..<100_000 {
      let request = trace.request(using: &random)
      for step in 0..<request.output {
        steps += 1
        context += Double(request.prompt + step)
        reserved += Double(request.tokens)
      }
    }
    #expect(abs(context / steps / trace.meanContext - 1) < 0.01)
    #expect(abs(reserved / steps / trace.meanReserved - 1) < 0.01)
  }

  @Test func `events come by time, then by when they were entered`() {
    var random = SplitMix64(seed: 1)
    var queue = EventQueue<Int>()
    var expected: [(Double, Int)] = []
    for number in 0..<500 {
      let time = Double(random.next() % 50)
      queue.add(number, at: time)
      expected.append((time, number))
    }
    expected.sort { $0 < $1 }
    for (time, number) in expected {
      #expect(queue.nextTime == time)
      let next = queue.next()
      #expect(next?.time == time && next?.event == number)
    }
    #expect(queue.next() == nil)
  }

  @Test func `quantiles are within a per cent`() {
    var histogram = LogHistogram()
    for value in 1...1000 { histogram.add(Double(value) / 1000) }
    for share in [0.01, 0.1, 0.5, 0.99, 1] {
      #expect(abs(histogram.quantile(share) / share - 1) < 0.011)
    }
    #expect(abs(histogram.mean - 0.5005) < 1e-9 && LogHistogram().quantile(0.5) == 0)
  }
}
