import Synchronization

/// Carries events from the model's thread to whoever writes them to a client, for all choices of a request.
///
/// Cancelling goes the other way. The thread looks at `isCancelled` and `isFull` between steps, and never waits.
final class GenerationChannel: Sendable {
  struct Element: Sendable {
    let choice: Int
    let event: GenerationEvent
  }

  let elements: AsyncStream<Element>
  private let continuation: AsyncStream<Element>.Continuation
  private let cancelled = Atomic<Bool>(false)
  private let backlog = Atomic<Int>(0)
  /// Called where a full channel has room again, and where it is cancelled.
  private let wake: @Sendable () -> Void

  /// Events that wait to be written, beyond which an answer rests until its client has caught up.
  private static let room = 256

  init(wake: @escaping @Sendable () -> Void) {
    (elements, continuation) = AsyncStream.makeStream(of: Element.self)
    self.wake = wake
  }

  var isCancelled: Bool { cancelled.load(ordering: .relaxed) }

  /// Whether the client is too far behind.
  var isFull: Bool { backlog.load(ordering: .relaxed) >= Self.room }

  func send(_ event: GenerationEvent, choice: Int) {
    backlog.wrappingAdd(1, ordering: .relaxed)
    continuation.yield(Element(choice: choice, event: event))
  }

  /// Notes that an element was taken out.
  func noteTaken() {
    if backlog.wrappingSubtract(1, ordering: .relaxed).newValue == Self.room / 2 { wake() }
  }

  /// Nobody waits for the answer any more.
  func cancel() {
    if !cancelled.exchange(true, ordering: .relaxed) { wake() }
    continuation.finish()
  }
}
