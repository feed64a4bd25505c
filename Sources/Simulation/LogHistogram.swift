import CLibrary

/// How often values came, in bins that are one per cent wide: quantiles within a per cent, in constant memory.
package struct LogHistogram: Sendable, Equatable {
  private static let least = 1e-9
  private static let step = 1.01

  private var counts: [Int: Double] = [:]
  package private(set) var total = 0.0
  private var sum = 0.0

  package init() {}

  /// Counts a value, `weight` times; what is below a billionth counts as that.
  package mutating func add(_ value: Double, weight: Double = 1) {
    guard weight > 0 else { return }
    counts[Int((log(max(value, Self.least) / Self.least) / log(Self.step)).rounded(.down)), default: 0] += weight
    total += weight
    sum += value * weight
  }

  package var mean: Double { total > 0 ? sum / total : 0 }

  /// The value below which that share of all lies; 0 where there is none.
  package func quantile(_ share: Double) -> Double {
    var below = 0.0
    for (bin, count) in counts.sorted(by: { $0.key < $1.key }) {
      below += count
      if below >= share * total { return Self.least * pow(Self.step, Double(bin) + 0.5) }
    }
    return 0
  }
}
