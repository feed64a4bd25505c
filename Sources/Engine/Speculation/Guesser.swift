/// Guesses the next tokens of one sequence, and learns from what came.
struct Guesser {
  private let speculation: Speculation
  private var lookup = PromptLookup()
  private var length: GuessLength
  /// What stands behind the match, oldest first, of which the first `known` have come.
  private(set) var guesses: [Int32] = []
  private var known = 0
  /// Tokens that matched before the first guess.
  private var matched = 0

  init(_ speculation: Speculation, costs: GuessCosts) {
    self.speculation = speculation
    length = GuessLength(costs: costs)
    guesses.reserveCapacity(Speculation.largestCount)
  }

  var bytes: Int { lookup.bytes }

  /// Guesses what follows the newest token of a log.
  ///
  /// - Parameter limit: the most tokens that are of use
  /// - Returns: how many of `guesses` to try.
  mutating func guess(after log: TokenLog, limit: Int) -> Int {
    guesses.removeAll(keepingCapacity: true)
    known = 0
    guard let match = lookup.match(in: log) else { return 0 }
    matched = match.length
    let most = min(limit, speculation.mostGuesses)
    // One guess is kept also where none is tried, to learn from.
    for distance in 0..<max(1, most) {
      // What stood there may run into the newest token: then the text repeats itself.
      guesses.append(distance <= match.back ? log[back: match.back - distance] : guesses[distance - match.back - 1])
    }
    switch speculation {
    case .off: return 0
    case .automatic: return length.best(behind: matched, limit: most)
    case .fixed: return max(0, most)
    }
  }

  /// Takes note of a token that came.
  mutating func note(_ token: Int32) {
    guard known < guesses.count else { return }
    let cameTrue = guesses[known] == token
    length.note(matched + known, cameTrue: cameTrue)
    known = cameTrue ? known + 1 : guesses.count
  }

  /// Takes note that tokens were taken back, or are others.
  mutating func forget() {
    lookup.forget()
    guesses.removeAll(keepingCapacity: true)
  }
}
