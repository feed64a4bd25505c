/// Guesses of a sequence on their way: offered, then gone through the model, then confirmed one by one or found wrong.
struct Trial: Sendable, Hashable {
  /// Guesses behind the tokens that wait.
  private(set) var offered = 0
  /// Guesses that went through the model in the last step, and that nothing has confirmed yet.
  private(set) var unconfirmed = 0
  /// Guesses of the last step that came true.
  private(set) var confirmed = 0

  mutating func offer(_ count: Int) { offered = count }

  /// Takes note of a step with so many guesses; those that found no room in it are dropped.
  mutating func begin(guesses: Int) { (offered, unconfirmed, confirmed) = (0, guesses, 0) }

  mutating func confirm() {
    unconfirmed -= 1
    confirmed += 1
  }
}
