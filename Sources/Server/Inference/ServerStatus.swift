import Synchronization

/// Numbers of a running server, kept by the model's thread and read by anyone at any time.
final class ServerStatus: Sendable {
  struct Counters: Sendable {
    var running = 0
    var waiting = 0
    var held = 0
    var runningBytes = 0
    var heldBytes = 0
    var promptTokens = 0
    var cachedTokens = 0
    var answerTokens = 0
    /// Tokens that were guessed, and those of them that the model agreed with.
    var guesses = (tried: 0, confirmed: 0)
    var steps = 0
    var stepSeconds = 0.0
    var finished = 0
    var cancelled = 0
    var failed = 0
    var refused = 0
  }

  private struct State {
    var counters = Counters()
    /// Requests between the door and the thread.
    var arriving = 0
    /// Answers that are being made or written.
    var answering = 0
    var isDraining = false
  }

  private let state = Mutex(State())

  var counters: Counters { state.withLock { $0.counters } }
  var isDraining: Bool { state.withLock { $0.isDraining } }
  /// Requests that have not been answered.
  var unanswered: Int { state.withLock { $0.arriving + $0.counters.waiting + $0.counters.running } }

  /// Whether an answer is being made or written.
  var isAnswering: Bool { state.withLock { $0.answering > 0 } }

  /// Takes no more requests; false where it did not before.
  func drain() -> Bool {
    state.withLock { state in
      defer { state.isDraining = true }
      return !state.isDraining
    }
  }

  func noteAnswer(begins: Bool) { state.withLock { $0.answering += begins ? 1 : -1 } }

  /// Keeps places in the queue; false where there are not so many, or no more requests are taken.
  func reserve(_ count: Int, limit: Int) -> Bool {
    state.withLock { state in
      guard !state.isDraining, state.arriving + state.counters.waiting + count <= limit else {
        state.counters.refused += 1
        return false
      }
      state.arriving += count
      return true
    }
  }

  /// Notes that requests have gone from the door into the queue.
  func release(_ count: Int) {
    state.withLock { state in
      state.arriving -= count
      state.counters.waiting += count
    }
  }

  func note(running: Int, waiting: Int, held: Int, runningBytes: Int, heldBytes: Int) {
    state.withLock { state in
      (state.counters.running, state.counters.waiting, state.counters.held) = (running, waiting, held)
      (state.counters.runningBytes, state.counters.heldBytes) = (runningBytes, heldBytes)
    }
  }

  /// - Parameter guesses: those of all steps so far
  func noteStep(tokens: Int, guesses: (tried: Int, confirmed: Int), duration: Duration) {
    let seconds = Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
    state.withLock { state in
      state.counters.answerTokens += tokens
      state.counters.guesses = guesses
      state.counters.steps += 1
      state.counters.stepSeconds += seconds
    }
  }

  func noteStart(promptTokens: Int, cachedTokens: Int) {
    state.withLock { state in
      state.counters.promptTokens += promptTokens
      state.counters.cachedTokens += cachedTokens
    }
  }

  func noteEnd(isCancelled: Bool) {
    state.withLock { state in
      if isCancelled { state.counters.cancelled += 1 } else { state.counters.finished += 1 }
    }
  }

  func noteFailure() { state.withLock { $0.counters.failed += 1 } }
}
