/// Layers of a cache whose slots are still on their way while earlier ones compute.
///
/// One thread says what has come. The thread that computes waits for one layer after another, not beyond a deadline, and a
/// layer that is there costs it a lock that nobody holds.
final class LayerArrival: @unchecked Sendable {
  /// Guards the rest.
  private let monitor = Monitor()
  /// Sections that have not come, `[layer]`.
  private var missing: [Int]
  private var problem: KVCacheError?
  private let deadline: ContinuousClock.Instant?

  /// - Parameters:
  ///   - missing: sections that have not come, `[layer]`
  ///   - deadline: when what has not come is waited for no longer; nil waits as long as it takes
  init(missing: [Int], deadline: ContinuousClock.Instant? = nil) {
    (self.missing, self.deadline) = (missing, deadline)
  }

  /// Notes that a section of a layer has come.
  func note(layer: Int) {
    monitor.withLock {
      missing[layer] -= 1
      assert(missing[layer] >= 0, "more sections than a layer has")
      if missing[layer] == 0 { monitor.broadcast() }
    }
  }

  /// Ends all waiting: what has not come will not come.
  func fail(_ error: KVCacheError) {
    monitor.withLock {
      if problem == nil { problem = error }
      monitor.broadcast()
    }
  }

  /// Why some layers will never come.
  var failure: KVCacheError? { monitor.withLock { problem } }

  var isComplete: Bool { monitor.withLock { problem == nil && missing.allSatisfy { $0 == 0 } } }

  /// Waits until a layer is there, or never will be.
  func wait(layer: Int) {
    monitor.withLock {
      while missing[layer] > 0, problem == nil {
        if !monitor.wait(until: deadline) { problem = .late }
      }
    }
  }

  /// Waits until all layers are there, or never will be.
  func waitForAll() {
    for layer in missing.indices { wait(layer: layer) }
  }
}
