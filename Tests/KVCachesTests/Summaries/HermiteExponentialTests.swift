import Foundation
import TestSupport
import Testing

@testable import KVCaches

/// The polynomial of a query against its definition, in Float64.
@Suite("Hermite expansion of the exponential")
struct HermiteExponentialTests {
  struct Spread: Sendable {
    let mean, variance, tilt: Double
  }

  static let spreads = [
    Spread(mean: 0, variance: 0, tilt: 0.5), Spread(mean: 1.5, variance: 0, tilt: 0),
    Spread(mean: 0, variance: 1, tilt: 0.5), Spread(mean: -2, variance: 0.3, tilt: 1),
    Spread(mean: 0.7, variance: 4, tilt: 0.25), Spread(mean: 3, variance: 2, tilt: 0),
  ]

  private func polynomial(_ degree: Int, _ spread: Spread) -> (Double) -> Double {
    var coefficients = [Double](repeating: .nan, count: degree + 1)
    var scratch = [Double](repeating: .nan, count: HermiteExponential.scratchDoubles(degree: degree))
    let exponent = HermiteExponential.coefficients(
      degree: degree, mean: spread.mean, variance: spread.variance, tilt: spread.tilt, into: &coefficients,
      scratch: &scratch)
    return { s in exp(exponent) * coefficients.reversed().reduce(0) { $0 * s + $1 } }
  }

  /// Written as in the definition, term by term.
  static func definition(_ degree: Int, _ spread: Spread, at s: Double) -> Double {
    let y = s - spread.mean + spread.tilt * spread.variance
    var terms = [1, y]
    for order in 1..<max(degree, 2) {
      terms.append(y * terms[order] - Double(order) * spread.variance * terms[order - 1])
    }
    var (sum, factorial) = (0.0, 1.0)
    for order in 0...degree {
      factorial *= Double(max(order, 1))
      sum += terms[order] / factorial
    }
    return exp(spread.mean + (0.5 - spread.tilt) * spread.variance) * sum
  }

  private let points = stride(from: -6.0, through: 6, by: 0.25)

  @Test("is the sum of its terms", arguments: [1, 2, 3, 4, 6, 8], spreads)
  func terms(degree: Int, spread: Spread) {
    let polynomial = polynomial(degree, spread)
    for s in points {
      let expected = Self.definition(degree, spread, at: s)
      #expect(abs(polynomial(s) - expected) <= 1e-9 * max(1, abs(expected)))
    }
  }

  @Test("has a closed form of degree 2", arguments: spreads)
  func closedForm(spread: Spread) {
    let spread = Spread(mean: spread.mean, variance: spread.variance, tilt: 0.5)
    let polynomial = polynomial(2, spread)
    for s in points {
      let d = s - spread.mean
      let square = (d + spread.variance / 2) * (d + spread.variance / 2)
      let expected = exp(spread.mean) * (1 + d + square / 2)
      #expect(abs(polynomial(s) - expected) <= 1e-10 * max(1, abs(expected)))
    }
  }

  @Test("is the Taylor series without a variance", arguments: [2, 4, 8])
  func taylor(degree: Int) {
    let polynomial = polynomial(degree, Spread(mean: 1.5, variance: 0, tilt: 0.5))
    for s in points {
      var (term, sum) = (1.0, 1.0)
      for order in 1...degree {
        term *= (s - 1.5) / Double(order)
        sum += term
      }
      #expect(abs(polynomial(s) - exp(1.5) * sum) <= 1e-9 * max(1, abs(sum)))
    }
  }

  @Test(
    "leaves an error at right angles to every polynomial of its degree", arguments: [2, 4, 6], spreads.dropFirst(2))
  func leastSquares(degree: Int, spread: Spread) {
    let polynomial = polynomial(degree, spread)
    let deviation = spread.variance.squareRoot()
    for power in 0...degree {
      var (sum, size) = (0.0, 0.0)
      for step in -4000...4000 {
        let z = Double(step) / 200
        let s = spread.mean + deviation * z
        let weight = exp(-z * z / 2 - spread.tilt * s)
        let direction = Double((0..<power).reduce(1.0) { product, _ in product * z })
        sum += (exp(s) - polynomial(s)) * direction * weight
        size += abs(exp(s) * direction) * weight
      }
      #expect(abs(sum) <= 1e-9 * size, "power \(power)")
    }
  }

  @Test("sums up to what mean and variance say, of degree 2")
  func sums() {
    var random = SplitMix64(seed: 3)
    for scale in [0.1, 1, 2.5] {
      let logits = (0..<500).map { _ in Double(random.normal()) * scale + 0.4 }
      let mean = logits.reduce(0, +) / 500
      let variance = logits.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 500
      let polynomial = polynomial(2, Spread(mean: mean, variance: variance, tilt: 0.5))
      let expected = 500 * exp(mean) * (1 + variance / 2 + variance * variance / 8)
      #expect(abs(logits.reduce(0) { $0 + polynomial($1) } / expected - 1) < 1e-12)
    }
  }
}
