import CLibrary

/// A thread on which a store writes or reads; jobs run one after another, in the order in which they come.
final class StoreThread: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  // All guarded by `mutex`.
  private var jobs: [@Sendable () -> Void] = []
  private var urgentJobs: [@Sendable () -> Void] = []
  private var isRunning = false
  private var unfinished = 0

  init() {
    mutex.initialize(to: pthread_mutex_t())
    changed.initialize(to: pthread_cond_t())
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(changed, nil)
  }

  deinit {
    pthread_cond_destroy(changed)
    pthread_mutex_destroy(mutex)
    changed.deallocate()
    mutex.deallocate()
  }

  /// Has the thread run a job after those that wait already, an urgent one before those that are not.
  func enqueue(urgent: Bool = false, _ job: @escaping @Sendable () -> Void) {
    pthread_mutex_lock(mutex)
    if urgent { urgentJobs.append(job) } else { jobs.append(job) }
    unfinished += 1
    let starts = !isRunning
    isRunning = true
    pthread_mutex_unlock(mutex)
    if starts { start() }
  }

  /// Waits until all jobs that were there have run. Not to be called in a job.
  func drain() {
    pthread_mutex_lock(mutex)
    while unfinished > 0 { pthread_cond_wait(changed, mutex) }
    pthread_mutex_unlock(mutex)
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
      pthread_mutex_lock(mutex)
      unfinished -= 1
      if unfinished == 0 { pthread_cond_broadcast(changed) }
      pthread_mutex_unlock(mutex)
    }
  }

  private func next() -> (@Sendable () -> Void)? {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    if !urgentJobs.isEmpty { return urgentJobs.removeFirst() }
    guard !jobs.isEmpty else {
      isRunning = false
      return nil
    }
    return jobs.removeFirst()
  }
}
