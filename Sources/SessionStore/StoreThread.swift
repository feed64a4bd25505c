import CLibrary
import KVCaches

/// A thread on which a store writes or reads; jobs run one after another, in the order in which they come.
final class StoreThread: @unchecked Sendable {
  private let monitor = Monitor()
  // All guarded by `monitor`.
  private var jobs: [@Sendable () -> Void] = []
  private var urgentJobs: [@Sendable () -> Void] = []
  private var isRunning = false
  private var unfinished = 0

  /// Has the thread run a job after those that wait already, an urgent one before those that are not.
  func enqueue(urgent: Bool = false, _ job: @escaping @Sendable () -> Void) {
    let starts = monitor.withLock {
      if urgent { urgentJobs.append(job) } else { jobs.append(job) }
      unfinished += 1
      defer { isRunning = true }
      return !isRunning
    }
    if starts { start() }
  }

  /// Waits until all jobs that were there have run. Not to be called in a job.
  func drain() {
    monitor.withLock {
      while unfinished > 0 { _ = monitor.wait() }
    }
  }

  /// A thread that lives as long as there are jobs: a store that rests costs none.
  private func start() {
    #if canImport(Darwin)
      var thread: pthread_t?
    #else
      var thread = pthread_t()
    #endif
    let context = Unmanaged.passRetained(self).toOpaque()
    let code = pthread_create(
      &thread, nil,
      { context in
        #if canImport(Darwin)
          let pointer: UnsafeMutableRawPointer = context
        #else
          guard let pointer = context else { return nil }
        #endif
        let owner = Unmanaged<StoreThread>.fromOpaque(pointer).takeRetainedValue()
        owner.run()
        return nil
      }, context)
    guard code == 0 else {
      // Without a thread the caller does the work.
      Unmanaged<StoreThread>.fromOpaque(context).release()
      return run()
    }
    #if canImport(Darwin)
      if let thread { pthread_detach(thread) }
    #else
      pthread_detach(thread)
    #endif
  }

  private func run() {
    while let job = next() {
      job()
      monitor.withLock {
        unfinished -= 1
        if unfinished == 0 { monitor.broadcast() }
      }
    }
  }

  private func next() -> (@Sendable () -> Void)? {
    monitor.withLock {
      if !urgentJobs.isEmpty { return urgentJobs.removeFirst() }
      guard !jobs.isEmpty else {
        isRunning = false
        return nil
      }
      return jobs.removeFirst()
    }
  }
}
