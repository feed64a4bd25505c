import CLibrary

/// A lock at which threads can wait for a change, as long as they like or until a moment.
///
/// The moment is one of a clock that nobody sets.
package final class Monitor: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  package init() {
    mutex.initialize(to: pthread_mutex_t())
    changed.initialize(to: pthread_cond_t())
    pthread_mutex_init(mutex, nil)
    #if canImport(Darwin)
      pthread_cond_init(changed, nil)
    #else
      var attributes = pthread_condattr_t()
      pthread_condattr_init(&attributes)
      pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
      pthread_cond_init(changed, &attributes)
      pthread_condattr_destroy(&attributes)
    #endif
  }

  deinit {
    pthread_cond_destroy(changed)
    pthread_mutex_destroy(mutex)
    changed.deallocate()
    mutex.deallocate()
  }

  package func withLock<Result>(_ body: () throws -> Result) rethrows -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body()
  }

  /// Wakes all who wait.
  package func broadcast() { pthread_cond_broadcast(changed) }

  /// Waits, with the lock held, until somebody says that something has changed, or for no reason.
  ///
  /// - Parameter deadline: nil waits as long as it takes
  /// - Returns: false once the deadline has passed.
  package func wait(until deadline: ContinuousClock.Instant? = nil) -> Bool {
    guard let deadline else {
      pthread_cond_wait(changed, mutex)
      return true
    }
    let left = deadline - .now
    guard left > .zero else { return false }
    let (seconds, attoseconds) = left.components
    // What is longer than a day is looked at again every day.
    var time = timespec(tv_sec: Int(min(seconds, 86_400)), tv_nsec: Int(attoseconds / 1_000_000_000))
    #if canImport(Darwin)
      pthread_cond_timedwait_relative_np(changed, mutex, &time)
    #else
      var now = timespec()
      clock_gettime(CLOCK_MONOTONIC, &now)
      time.tv_sec += now.tv_sec + (time.tv_nsec + now.tv_nsec) / 1_000_000_000
      time.tv_nsec = (time.tv_nsec + now.tv_nsec) % 1_000_000_000
      pthread_cond_timedwait(changed, mutex, &time)
    #endif
    return true
  }
}
