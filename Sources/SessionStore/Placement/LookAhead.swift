/// Which items a queue is about to ask for, and what follows for the room in a tier.
///
/// Scheduler-aware fetching and eviction of CachedAttention (arXiv 2403.19708, section 5). Its eviction window is not needed:
/// whoever stands farther back makes room first, in the window and behind it. Where the queue says nothing, that is those
/// who were used longest ago.
package struct LookAhead<Key: Hashable & Sendable>: Sendable {
  package enum Policy: String, Sendable, CaseIterable {
    case queueAware = "queue-aware"
    case leastRecentlyUsed = "lru"
    case firstInFirstOut = "fifo"
  }

  /// An item that has room in a tier.
  package struct Resident: Sendable {
    package let key: Key
    /// Moments, in any unit, at which it came into the tier and was used last.
    package let arrived, used: Int64

    package init(key: Key, arrived: Int64, used: Int64) { (self.key, self.arrived, self.used) = (key, arrived, used) }
  }

  package let policy: Policy
  /// Items in the order in which they will be asked for, each once.
  package private(set) var queue: [Key] = []
  private var places: [Key: Int] = [:]

  /// What nothing is known of.
  package init(policy: Policy = .queueAware) { self.policy = policy }

  /// - Parameter queue: items of the jobs that wait, the next one first
  package init(policy: Policy = .queueAware, queue: some Sequence<Key>) {
    self.policy = policy
    guard policy == .queueAware else { return }
    for key in queue where places[key] == nil {
      places[key] = self.queue.count
      self.queue.append(key)
    }
  }

  /// How many jobs wait before the first one that asks for an item; as many as there can be where none does.
  package func place(of key: Key) -> Int { places[key] ?? .max }

  /// Items to bring up, in this order: as many from the front of the queue as have room together.
  package func wanted(room bytes: Int, meanItemBytes: Double) -> ArraySlice<Key> {
    guard meanItemBytes >= 1 else { return queue[...] }
    return queue.prefix(Int(min(Double(queue.count), Double(bytes) / meanItemBytes)))
  }

  /// The item that makes room.
  ///
  /// - Parameter place: of the item for which it does, which nothing makes room for that is asked for sooner; nil where it has
  ///   to have room whatever goes
  /// - Returns: nil where none may
  package func victim(among residents: some Sequence<Resident>, for place: Int? = nil) -> Key? {
    var best: (key: Key, place: Int, moment: Int64)?
    for resident in residents {
      let moment = policy == .firstInFirstOut ? resident.arrived : resident.used
      let candidate = (resident.key, self.place(of: resident.key), moment)
      guard let other = best else {
        best = candidate
        continue
      }
      if (candidate.1, -candidate.2) > (other.place, -other.moment) { best = candidate }
    }
    guard let best else { return nil }
    // Of two that nobody asks for the new one stays.
    if let place, best.place < place || best.place == place && place != .max { return nil }
    return best.key
  }
}
