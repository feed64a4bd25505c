/// How many tokens are worth guessing, from how often guesses came true and what a row of a step costs.
///
/// A guess is judged by the length of the match that it continues: the longer the match, the likelier it comes true. Every
/// token of the text counts, also where nothing was guessed, because the look-up says at no cost what it would have been. No
/// clock decides, so the same seed writes the same text.
struct GuessLength {
  /// A draft has to promise so much, since what is known of it is rough.
  static let leastGain = 1.1
  /// How much the newest outcome counts.
  private static let rate = 1.0 / 16
  /// Up to which length of a match guesses are judged together, and how often they come true before anything is known.
  private static let classes: [(longest: Int, prior: Double)] = [
    (2, 0.15), (3, 0.3), (4, 0.4), (6, 0.5), (9, 0.6), (15, 0.7), (.max, 0.8),
  ]

  private let costs: GuessCosts
  /// How often guesses of each class came true.
  private var rates = Self.classes.map(\.prior)

  init(costs: GuessCosts) { self.costs = costs }

  private static func classIndex(_ length: Int) -> Int {
    var index = 0
    while length > classes[index].longest { index += 1 }
    return index
  }

  /// How likely the guess behind a match of so many tokens comes true.
  func chance(_ length: Int) -> Double { rates[Self.classIndex(length)] }

  /// Takes note of whether the guess behind a match of so many tokens came true.
  mutating func note(_ length: Int, cameTrue: Bool) {
    rates[Self.classIndex(length)] += ((cameTrue ? 1 : 0) - chance(length)) * Self.rate
  }

  /// How many tokens to guess behind a match, at most `limit`; 0 where that would not pay.
  func best(behind length: Int, limit: Int) -> Int {
    var (best, bestGain) = (0, Self.leastGain)
    var (likelihood, tokens) = (1.0, 1.0)
    for count in 0..<limit {
      likelihood *= chance(length + count)
      tokens += likelihood
      let gain = tokens / (1 + costs.step + costs.row * Double(count + 1))
      if gain > bestGain { (best, bestGain) = (count + 1, gain) }
    }
    return best
  }
}
