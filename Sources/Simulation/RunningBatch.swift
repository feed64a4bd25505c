import Kernels

/// Sequences that take every step together, and those that wait for a place among them.
///
/// All that changes in a step is one number a batch: who is done when was known when it was let in.
struct RunningBatch {
  struct Sequence {
    let request: RequestTrace.Request
    let arrival: Double
    let admission: Double
  }

  /// By the step after which they are done.
  private var endings = EventQueue<Sequence>()
  /// Steps taken.
  private(set) var steps = 0
  private(set) var count = 0
  /// Tokens that are held now.
  private(set) var tokens = 0
  /// Tokens that will be held at the ends of all.
  private(set) var reserved = 0

  mutating func add(_ sequence: Sequence) {
    count += 1
    tokens += sequence.request.prompt
    reserved += sequence.request.tokens
    endings.add(sequence, at: Double(steps + sequence.request.output))
  }

  /// Gives every sequence a token; returns those that are done.
  mutating func step() -> [Sequence] {
    steps += 1
    tokens += count
    var done: [Sequence] = []
    while let next = endings.nextTime, next <= Double(steps), let ending = endings.next() {
      done.append(ending.event)
      count -= 1
      tokens -= ending.event.request.tokens
      reserved -= ending.event.request.tokens
    }
    return done
  }
}
