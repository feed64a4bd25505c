/// Whether a text's next tokens are guessed from what it has said before, so that several go through the model in one step.
///
/// Guesses are checked against what the model would have written, and only those that agree stay: the text is the same as
/// without, for greedy and for sampled text, but for the rounding of attention to several tokens at once.
public enum Speculation: Sendable, Hashable {
  /// One token a step.
  case off
  /// As many guesses as have paid of late, and none where the cache cannot take them back.
  case automatic
  /// Always so many guesses where the text repeats itself; an error where the cache cannot take them back.
  case fixed(Int)

  /// The most guesses of a step.
  public static let largestCount = 16

  /// As commands and settings write it: `auto`, `off`, or the number of tokens.
  package init?(argument: String) {
    switch argument {
    case "auto": self = .automatic
    case "off": self = .off
    default:
      guard let count = Int(argument), (1...Self.largestCount).contains(count) else { return nil }
      self = .fixed(count)
    }
  }

  /// The most guesses of a step, 0 where there are none.
  package var mostGuesses: Int {
    switch self {
    case .off: 0
    case .automatic: Self.largestCount
    case .fixed(let count): count
    }
  }

  func check() throws(LanguageModelError) {
    guard (0...Self.largestCount).contains(mostGuesses) else {
      throw .badOptions("between 0 and \(Self.largestCount) tokens can be guessed at once, not \(mostGuesses)")
    }
  }
}
