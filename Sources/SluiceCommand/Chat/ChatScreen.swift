import Engine

/// Writes an answer as it comes, thoughts dimmed, hidden, or left out.
struct ChatScreen {
  /// What is done with thoughts.
  enum Thoughts: String, CaseIterable {
    /// Written, dimmed on a terminal.
    case show
    case hide
    /// The model is asked not to think.
    case off
  }

  private let thoughts: Thoughts
  private let isTerminal: Bool
  private let write: (String) -> Void
  private var isDimmed = false
  private var hasThought = false
  private var hasAnswered = false

  /// - Parameter write: where text goes
  init(_ thoughts: Thoughts, isTerminal: Bool, write: @escaping (String) -> Void) {
    (self.thoughts, self.isTerminal, self.write) = (thoughts, isTerminal, write)
  }

  mutating func show(_ parts: [AnswerReader.Part]) {
    for part in parts {
      switch part {
      case .thinking(let text): showThought(text)
      case .answer(let text): showAnswer(text)
      case .call, .beginsCall, .arguments, .endsCall: assertionFailure("a chat has no tools")
      }
    }
  }

  private mutating func showThought(_ text: String) {
    guard thoughts == .show else { return }
    if isTerminal, !isDimmed { write("\u{1B}[2m") }
    (isDimmed, hasThought) = (isTerminal, true)
    write(text)
  }

  private mutating func showAnswer(_ text: String) {
    endThought()
    if hasThought, !hasAnswered { write("\n\n") }
    hasAnswered = true
    write(text)
  }

  private mutating func endThought() {
    if isDimmed { write("\u{1B}[0m") }
    isDimmed = false
  }

  /// Ends the answer with a line of its own.
  mutating func finish() {
    endThought()
    write("\n")
    (hasThought, hasAnswered) = (false, false)
  }
}
