import Evaluation

/// How much of what was asked for was found.
package struct RecallShare: Sendable {
  /// The share of cases with the right number, and of right digits.
  let exact, digits: Double
  let cases: Int

  /// What the share of exact answers is with a certainty of 95 %.
  var interval: WilsonInterval { WilsonInterval(successes: Int((exact * Double(cases)).rounded()), of: cases) }

  /// As in `0.80 [0.58, 0.92], digits 0.91`.
  var text: String {
    "\(Figure.text(exact, places: 2)) [\(Figure.text(interval.lower, places: 2)), "
      + "\(Figure.text(interval.upper, places: 2))], digits \(Figure.text(digits, places: 2))"
  }
}
