import Synchronization

/// Computes the tokens that a model's sessions ask for, those of all sessions in the same steps.
///
/// It lives on the model's thread, and between two steps lets that do whatever else is asked of it. A token is computed
/// only when it is asked for, but sessions that have just got one mostly come back for the next within microseconds:
/// before a step it waits a moment for those, so that they do not fall into two halves that take turns.
final class ResponseScheduler {
  /// A session that waits for its next token.
  struct Ask: Sendable {
    let state: SessionState
    let cancelled: CancellationFlag
    let continuation: CheckedContinuation<String?, any Error>
  }

  let engine: InferenceEngine
  private let scheduler: Scheduler
  private let thread: InferenceThread
  /// In the order in which they came.
  private var asks: [Ask] = []
  private var isStepQueued = false
  /// Counts steps, so that it is known which sessions the last one served.
  private(set) var step = 0
  /// Sessions that got a token in the last step and have not come back.
  private var absent = 0
  /// When those who are absent are waited for no longer.
  private var deadline = ContinuousClock.now

  init(engine: InferenceEngine, thread: InferenceThread) {
    self.engine = engine
    self.thread = thread
    scheduler = Scheduler(engine: engine)
  }

  /// Takes in a session that asks for its next token; it is answered after some step.
  ///
  /// - Parameter prepare: called first; its error is the answer
  func take(_ ask: Ask, _ prepare: (ResponseScheduler) throws -> Void) {
    if ask.state.servedStep == step {
      absent -= 1
      ask.state.servedStep = nil
    }
    do {
      try prepare(self)
    } catch {
      return ask.continuation.resume(throwing: error)
    }
    guard let sequence = ask.state.requestToken() else { return ask.continuation.resume(returning: nil) }
    asks.append(ask)
    scheduler.add(sequence)
    queueStep()
  }

  /// Ends the response that a session still waits for, because a newer request replaces it.
  func endResponse(of state: SessionState) { end(state) { $0.resume(throwing: LanguageModelError.superseded) } }

  private func end(_ state: SessionState, _ answer: (CheckedContinuation<String?, any Error>) -> Void) {
    guard asks.contains(where: { $0.state === state }) else { return }
    state.cancel()
    if let sequence = state.existing { scheduler.remove(sequence) }
    for ask in asks where ask.state === state { answer(ask.continuation) }
    asks.removeAll { $0.state === state }
  }

  private func queueStep() {
    guard !isStepQueued, !asks.isEmpty else { return }
    isStepQueued = true
    // Confined to the thread that runs its jobs.
    nonisolated(unsafe) let scheduler = self
    thread.enqueue { scheduler.makeStep() }
  }

  private func makeStep() {
    isStepQueued = false
    // The caller finds out by itself that it was cancelled.
    while let ask = asks.first(where: \.cancelled.isSet) { end(ask.state) { $0.resume(returning: "") } }
    guard !asks.isEmpty else { return }
    if absent > 0, thread.waitForJob(atMost: deadline - .now) { return queueStep() }
    (step, absent) = (step + 1, 0)
    let start = ContinuousClock.now
    scheduler.step { sequence, logits in answer(sequence, logits) }
    deadline = .now + Self.patience(afterStepOf: .now - start)
    queueStep()
  }

  /// How long sessions are waited for that have just got a token: an eighth of a step, which is less than they would wait
  /// for a step that they have missed.
  private static func patience(afterStepOf duration: Duration) -> Duration {
    min(max(duration / 8, .microseconds(200)), .milliseconds(5))
  }

  private func answer(_ sequence: Sequence, _ logits: UnsafeMutableBufferPointer<Float>) {
    guard let index = asks.firstIndex(where: { $0.state.existing === sequence }) else {
      return assertionFailure("logits that nobody asked for")
    }
    let ask = asks[index]
    let result = Result<String?, any Error> {
      ask.state.gathered += try ask.state.accept(logits).answerText
      return ask.state.gathered
    }
    // Of tokens that were guessed the logits of the next one follow at once.
    if sequence.trial.confirmed > 0 { return }
    ask.state.gathered = ""
    asks.remove(at: index)
    if asks.contains(where: { $0.state === ask.state }) {
      // An iterator that was copied may ask twice.
      if ask.state.requestToken() == nil { end(ask.state) { $0.resume(returning: nil) } }
    } else {
      scheduler.remove(sequence)
      if !ask.state.hasEnded {
        ask.state.servedStep = step
        absent += 1
      }
    }
    ask.continuation.resume(with: result)
  }
}

/// A flag that a cancelled task raises for the thread that computes.
final class CancellationFlag: Sendable {
  private let flag = Atomic<Bool>(false)
  var isSet: Bool { flag.load(ordering: .relaxed) }
  func set() { flag.store(true, ordering: .relaxed) }
}
