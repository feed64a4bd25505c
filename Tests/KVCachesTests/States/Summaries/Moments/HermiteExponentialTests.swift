import Foundation
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// The polynomial of a query against its definition, in Float64.
@Suite("Hermite expansion of the exponential")
struct HermiteExponentialTests {
  struct Spread: Sendable {
    let mean, variance: Double
  }

  static let spreads = [
    Spread(mean: 0, variance: 0), Spread(mean: 1.5, variance: 0), Spread(mean: 0, variance: 1),
    Spread(mean: -2, variance: 0.3), Spread(mean: 0.7, variance: 4), Spread(mean: 3, variance: 2),
  ]

  private func polynomial(_ spread: Spread) -> (Double) -> Double {
    let found = HermiteExponential(mean: spread.mean, variance: spread.variance)
    return { s in exp(spread.mean) * (found.constant + s * (found.linear + s * found.quadratic)) }
  }

  /// Written as in the definition, term by term.
  static func definition(_ spread: Spread, at s: Double) -> Double {
    let y = s - spread.mean + spread.variance / 2
    return exp(spread.mean) * (1 + y + (y * y - spread.variance) / 2)
  }

  private let points = stride(from: -6.0, through: 6, by: 0.25)

  @Test("is the sum of its terms", arguments: spreads)
  func terms(spread: Spread) {
    let polynomial = polynomial(spread)
    for s in points {
      let expected = Self.definition(spread, at: s)
      #expect(abs(polynomial(s) - expected) <= 1e-9 * max(1, abs(expected)))
    }
  }

  @Test("has a closed form", arguments: spreads)
  func closedForm(spread: Spread) {
    let polynomial = polynomial(spread)
    for s in points {
      let d = s - spread.mean
      let square = (d + spread.variance / 2) * (d + spread.variance / 2)
      let expected = exp(spread.mean) * (1 + d + square / 2)
      #expect(abs(polynomial(s) - expected) <= 1e-10 * max(1, abs(expected)))
    }
  }

  @Test("is the Taylor series without a variance")
  func taylor() {
    let polynomial = polynomial(Spread(mean: 1.5, variance: 0))
    for s in points {
      let sum = 1 + (s - 1.5) + (s - 1.5) * (s - 1.5) / 2
      #expect(abs(polynomial(s) - exp(1.5) * sum) <= 1e-9 * max(1, abs(sum)))
    }
  }

  @Test("leaves an error at right angles to every polynomial of its degree", arguments: spreads.dropFirst(2))
  func leastSquares(spread: Spread) {
    let polynomial = polynomial(spread)
    let deviation = spread.variance.squareRoot()
    for power in 0...2 {
      var (sum, size) = (0.0, 0.0)
      for step in -4000...4000 {
        let z = Double(step) / 200
        let s = spread.mean + deviation * z
        let weight = exp(-z * z / 2 - s / 2)
        let direction = Double((0..<power).reduce(1.0) { product, _ in product * z })
        sum += (exp(s) - polynomial(s)) * direction * weight
        size += abs(exp(s) * direction) * weight
      }
      #expect(abs(sum) <= 1e-9 * size, "power \(power)")
    }
  }

  @Test("sums up to what mean and variance say")
  func sums() {
    var random = SplitMix64(seed: 3)
    for scale in [0.1, 1, 2.5] {
      let logits = (0..<500).map { _ in Double(random.normal()) * scale + 0.4 }
      let mean = logits.reduce(0, +) / 500
      let variance = logits.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 500
      let polynomial = polynomial(Spread(mean: mean, variance: variance))
      let expected = 500 * exp(mean) * (1 + variance / 2 + variance * variance / 8)
      #expect(abs(logits.reduce(0) { $0 + polynomial($1) } / expected - 1) < 1e-12)
    }
  }
}
