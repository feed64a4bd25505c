import Foundation
import Synchronization

/// The one thread on which a model computes.
///
/// Kernels block and spin, so they stay off Swift's cooperative pool. Jobs run one after another; sessions submit one
/// step at a time, so that several of them share the machine step by step.
final class InferenceThread: Sendable {
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

  init(name: String) {
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

  /// Runs a job on the thread and waits for its result without blocking a thread of the pool.
  func run<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
      shared.condition.withLock {
        shared.queue.jobs.append { continuation.resume(with: Swift.Result { try body() }) }
      }
      shared.condition.signal()
    }
  }
}
