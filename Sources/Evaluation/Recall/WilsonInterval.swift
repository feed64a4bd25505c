/// What a share may be, given how often something happened: Wilson's score interval (1927).
///
/// Unlike the estimate plus and minus two deviations it stays within 0 and 1 and says something of 0 of 20.
package struct WilsonInterval: Sendable, Hashable {
  package let lower, upper: Double

  /// - Parameter deviations: how many deviations of the normal distribution it spans to each side; 1.96 for 95 %
  package init(successes: Int, of cases: Int, deviations: Double = 1.959964) {
    precondition((0...cases).contains(successes), "successes are some of the cases")
    guard cases > 0 else {
      (lower, upper) = (0, 1)
      return
    }
    let count = Double(cases), share = Double(successes) / count, square = deviations * deviations
    let center = share + square / (2 * count)
    let margin = deviations * (share * (1 - share) / count + square / (4 * count * count)).squareRoot()
    lower = successes == 0 ? 0 : (center - margin) / (1 + square / count)
    upper = successes == cases ? 1 : (center + margin) / (1 + square / count)
  }
}
