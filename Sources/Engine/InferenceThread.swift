import Foundation
import Synchronization

/// The one thread on which a model computes.
///
/// Kernels block and spin, so they stay off Swift's cooperative pool. Jobs run one after another, in the order in which
/// they come.
package final class InferenceThread: Sendable {
  private struct Queue {
    var jobs: [@Sendable () -> Void] = []
    var isClosed = false
  }

  /// Shared with the thread, so that the owner can go away while it runs.
  private final class Shared: @unchecked Sendable {
    let condition = NSCondition()
    /// Guarded by `condition`.
    var queue = Queue()
  }

  private let shared = Shared()

  package init(name: String) {
    let shared = shared
    let thread = Thread {
      while let job = Self.nextJob(shared) { job() }
    }
    thread.name = name
    thread.stackSize = 8 << 20
    thread.start()
  }

  deinit {
    shared.condition.withLock { shared.queue.isClosed = true }
    shared.condition.signal()
  }

  private static func nextJob(_ shared: Shared) -> (@Sendable () -> Void)? {
    shared.condition.withLock {
      while shared.queue.jobs.isEmpty {
        if shared.queue.isClosed { return nil }
        shared.condition.wait()
      }
      return shared.queue.jobs.removeFirst()
    }
  }

  /// Has the thread run a job after those that wait already.
  package func enqueue(_ job: @escaping @Sendable () -> Void) {
    shared.condition.withLock { shared.queue.jobs.append(job) }
    shared.condition.signal()
  }

  /// Waits, in a job, for another one to come.
  ///
  /// - Returns: whether one has come before the time was up; false where there was no time.
  package func waitForJob(atMost duration: Duration) -> Bool {
    guard duration > .zero else { return false }
    let seconds = Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
    let deadline = Date(timeIntervalSinceNow: seconds)
    return shared.condition.withLock {
      while shared.queue.jobs.isEmpty, shared.condition.wait(until: deadline) {}
      return !shared.queue.jobs.isEmpty
    }
  }

  /// Runs a job on the thread and waits for its result without blocking a thread of the pool.
  package func run<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
      enqueue { continuation.resume(with: Swift.Result { try body() }) }
    }
  }
}
