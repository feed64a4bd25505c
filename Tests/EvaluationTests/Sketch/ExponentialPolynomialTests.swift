import Evaluation
import Testing

/// Polynomials for e^x against the errors that a prototype in another language measured.
@Suite struct ExponentialPolynomialTests {
  struct Row: Sendable {
    let bound: Double
    let degree: Int
    let taylor, minimax: Double
  }

  /// The largest relative errors on [−bound, bound], to two digits.
  static let rows = [
    (1, [(2, 3.6e-1, 4.0e-2), (4, 1.9e-2, 5.0e-4), (6, 4.8e-4, 3.0e-6), (8, 6.8e-6, 1.1e-8), (12, 4.1e-10, 4.2e-14)]),
    (2, [(2, 6.4, 2.7e-1), (4, 1.5, 1.5e-2), (6, 1.5e-1, 3.6e-4), (8, 8.7e-3, 5.0e-6), (12, 8.5e-6, 3.0e-10)]),
    (4, [(2, 2.7e2, 8.9e-1), (4, 2.7e2, 3.0e-1), (6, 1.2e2, 3.3e-2), (8, 2.8e1, 2.0e-3), (12, 4.6e-1, 2.0e-6)]),
    (8, [(2, 7e4, 1.0), (4, 3e5, 9.9e-1), (6, 6e5, 8.0e-1), (8, 6e5, 3.1e-1), (12, 1.7e5, 7.2e-3)]),
  ].flatMap { bound, cells in cells.map { Row(bound: bound, degree: $0.0, taylor: $0.1, minimax: $0.2) } }

  @Test(arguments: rows) func `errors are those of the table`(row: Row) {
    let taylor = ExponentialPolynomial.taylor(degree: row.degree).largestRelativeError(bound: row.bound)
    // One digit only was noted of the Taylor errors at 8.
    #expect(abs(taylor / row.taylor - 1) < (row.bound == 8 ? 0.2 : 0.06), "\(taylor)")
    let minimax = ExponentialPolynomial.minimax(degree: row.degree, bound: row.bound)
      .largestRelativeError(bound: row.bound)
    // The last one is 200 roundings.
    #expect(abs(minimax / row.minimax - 1) < (row.minimax < 1e-12 ? 0.5 : 0.06), "\(minimax)")
  }

  @Test(arguments: [
    (1, [2, 3, 4, 7], [3, 5, 6, 9]), (2, [3, 5, 6, 9], [7, 8, 10, 14]), (4, [6, 7, 9, 13], [14, 15, 17, 21]),
    (8, [10, 12, 14, 19], [28, 30, 31, 36]),
  ])
  func `the least degrees for an error`(bound: Double, minimax: [Int], taylor: [Int]) throws {
    for (index, error) in [1e-1, 1e-2, 1e-3, 1e-6].enumerated() {
      let least = try #require(ExponentialPolynomial.least(bound: bound, relativeError: error))
      #expect(least.degree == minimax[index], "\(least.degree) for \(error)")
      #expect(least.largestRelativeError(bound: bound) <= error)
      for (degree, isEnough) in [(taylor[index] - 1, false), (taylor[index], true)] {
        let polynomial = ExponentialPolynomial.taylor(degree: degree)
        #expect((polynomial.largestRelativeError(bound: bound) <= error) == isEnough, "\(degree) for \(error)")
      }
    }
  }

  @Test func `what no degree reaches has no polynomial`() {
    #expect(ExponentialPolynomial.least(bound: 40, relativeError: 1e-6) == nil)
  }

  @Test(arguments: [1.0, 2, 4], [3, 6, 9]) func `the better the polynomial, the smaller its error`(
    bound: Double, degree: Int
  ) {
    let chebyshev = ExponentialPolynomial.chebyshev(degree: degree, bound: bound)
    let taylor = ExponentialPolynomial.taylor(degree: degree)
    let minimax = ExponentialPolynomial.minimax(degree: degree, bound: bound)
    #expect(chebyshev.largestRelativeError(bound: bound) < taylor.largestRelativeError(bound: bound))
    #expect(minimax.largestRelativeError(bound: bound) <= chebyshev.largestRelativeError(bound: bound))
    #expect(chebyshev.degree == degree && minimax.degree == degree && taylor.degree == degree)
  }

  @Test func `an even Taylor polynomial is positive everywhere`() {
    for degree in stride(from: 0, through: 12, by: 2) {
      let taylor = ExponentialPolynomial.taylor(degree: degree)
      for step in -400...400 { #expect(taylor(Double(step) / 4) > 0) }
    }
  }
}
