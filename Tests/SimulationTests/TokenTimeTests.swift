import Simulation
import Testing

struct TokenTimeTests {
  private func time(
    batches: Int = 1, model: Double = 0.02, attention: Double = 0.01, handling: Double = 0, roundTrip: Double = 0,
    bytes: Double = 0,
    rate: Double? = nil
  ) -> TokenTime {
    TokenTime(
      layers: 10, batches: batches, model: model, attention: attention, handling: handling, roundTrip: roundTrip,
      bytes: bytes, rate: rate)
  }

  @Test("one batch takes its parts one after the other")
  func alone() {
    #expect(abs(time().seconds - 0.03) < 1e-12)
    // Ten exchanges of a millisecond, and a megabyte at 100 a second.
    let slow = time(roundTrip: 0.001, bytes: 1e6, rate: 1e8)
    #expect(abs(slow.network - 0.02) < 1e-12)
    #expect(abs(slow.seconds - 0.05) < 1e-12)
    #expect(abs(slow.alpha - 2.0 / 3) < 1e-12)
    // What the model worker does for its exchanges is its own time, and not the network's.
    let handled = time(handling: 0.003, roundTrip: 0.001)
    #expect(abs(handled.seconds - 0.043) < 1e-12 && abs(handled.alpha - 1.0 / 3) < 1e-12)
    #expect(abs(time(batches: 2, handling: 0.003).seconds - 0.046) < 1e-12)
  }

  @Test(
    "several batches go at the pace of the slowest side",
    arguments: [
      (2, 0.02, 0.01, 0.0, 0.04), (2, 0.01, 0.02, 0.0, 0.04), (3, 0.02, 0.01, 0.0, 0.06),
      // The network hides in the other batch's turn until it is longer.
      (2, 0.02, 0.01, 0.001, 0.04), (2, 0.02, 0.01, 0.002, 0.05),
    ])
  func staggered(batches: Int, model: Double, attention: Double, roundTrip: Double, expected: Double) {
    let time = time(batches: batches, model: model, attention: attention, roundTrip: roundTrip)
    #expect(abs(time.seconds - expected) < 1e-12)
  }
}
