import CLibrary

/// Layers of a cache whose slots are still on their way while earlier ones compute.
///
/// One thread says what has come. The thread that computes waits for one layer after another, and a layer that is there
/// costs it a lock that nobody holds.
final class LayerArrival: @unchecked Sendable {
  /// Guards the rest.
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  /// Sections that have not come, `[layer]`.
  private var missing: [Int]
  private var problem: KVCacheError?

  /// - Parameter missing: sections that have not come, `[layer]`
  init(missing: [Int]) {
    self.missing = missing
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

  private func withLock<Result>(_ body: () -> Result) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body()
  }

  /// Notes that a section of a layer has come.
  func note(layer: Int) {
    withLock {
      missing[layer] -= 1
      assert(missing[layer] >= 0, "more sections than a layer has")
      if missing[layer] == 0 { pthread_cond_broadcast(changed) }
    }
  }

  /// Ends all waiting: what has not come will not come.
  func fail(_ error: KVCacheError) {
    withLock {
      if problem == nil { problem = error }
      pthread_cond_broadcast(changed)
    }
  }

  /// Why some layers will never come.
  var failure: KVCacheError? { withLock { problem } }

  var isComplete: Bool { withLock { problem == nil && missing.allSatisfy { $0 == 0 } } }

  /// Waits until a layer is there, or never will be.
  func wait(layer: Int) {
    withLock {
      while missing[layer] > 0, problem == nil { pthread_cond_wait(changed, mutex) }
    }
  }

  /// Waits until all layers are there, or never will be.
  func waitForAll() {
    for layer in missing.indices { wait(layer: layer) }
  }
}
