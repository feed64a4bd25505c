/// How fast tiers hand over what they have, learned from all that is read.
struct LoadEstimates: Sendable {
  private struct Rate: Sendable {
    var latency = MovingMean()
    var secondsPerByte = MovingMean()
  }

  private var rates: [String: Rate] = [:]
  /// Below so many bytes the time is that of asking.
  private static let smallBytes = 32 << 10

  mutating func note(bytes: Int, seconds: Double, from tier: String) {
    if bytes < Self.smallBytes {
      rates[tier, default: Rate()].latency.note(seconds)
    } else {
      rates[tier, default: Rate()].secondsPerByte.note(seconds / Double(bytes))
    }
  }

  func secondsPerByte(from tier: String) -> Double? { rates[tier]?.secondsPerByte.value }

  /// Seconds that an item will take; nil where nothing is known of the tier.
  func seconds(bytes: Int, from tier: String) -> Double? {
    guard let rate = rates[tier], let perByte = rate.secondsPerByte.value else { return nil }
    return (rate.latency.value ?? 0) + Double(bytes) * perByte
  }

  /// Notes that a tier was not asked since it is slow: after some times it is tried again, since it may have recovered.
  mutating func doubt(_ tier: String) { rates[tier]?.secondsPerByte.shrink(by: 0.9) }
}
