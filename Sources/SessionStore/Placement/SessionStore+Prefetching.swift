import Synchronization

/// What the store does with what it is told of the queue.
extension SessionStore {
  /// What is known of the queue.
  struct Expectation {
    var lookAhead = LookAhead<ItemKey>()
    /// Items that need not be brought up: their sessions run, or it was tried.
    var settled: Set<ItemKey> = []
    var isPrefetching = false
    /// Bytes of an item.
    var itemBytes = MovingMean()
  }

  /// Notes which sessions will be asked for, the next one first: they are brought from disk to memory, and make room for
  /// others last.
  ///
  /// - Parameter running: sessions that are in use, which are saved again by themselves
  package func expect(_ queue: [ItemKey], running: [ItemKey] = []) {
    let starts = state.withLock { state in
      let lookAhead = LookAhead(queue: running + queue)
      state.expectation.settled = state.expectation.settled.filter { lookAhead.place(of: $0) != .max }.union(running)
      state.expectation.lookAhead = lookAhead
      guard hasDisk, !queue.isEmpty, !state.expectation.isPrefetching else { return false }
      state.expectation.isPrefetching = true
      return true
    }
    if starts { prefetchNext() }
  }

  /// Brings up one item after another; what somebody waits for is read in between.
  private func prefetchNext() {
    reader.enqueue { [self] in
      let next = state.withLock { state -> (key: ItemKey, place: Int)? in
        let (lookAhead, settled) = (state.expectation.lookAhead, state.expectation.settled)
        let wanted = lookAhead.wanted(
          room: pool.byteLimit, meanItemBytes: state.expectation.itemBytes.value ?? 0)
        guard let key = wanted.first(where: { !settled.contains($0) && state.loading[$0] == nil }) else {
          state.expectation.isPrefetching = false
          return nil
        }
        state.expectation.settled.insert(key)
        return (key, lookAhead.place(of: key))
      }
      guard let next else { return }
      if pool.item(next.key) == nil, promote(next.key, place: next.place) { note { $0.prefetches += 1 } }
      prefetchNext()
    }
  }

  /// How far back the queue asks for an item.
  func place(of key: ItemKey) -> Int { state.withLock { $0.expectation.lookAhead.place(of: key) } }

  /// The item that makes room in a tier.
  ///
  /// - Parameter place: see `LookAhead.victim`
  func victim(among items: [TierItem], for place: Int?) -> ItemKey? {
    // Tiers list those used longest ago first.
    let residents = items.enumerated().lazy.map { index, item in
      LookAhead<ItemKey>.Resident(key: item.key, arrived: item.saved, used: Int64(index))
    }
    return state.withLock { $0.expectation.lookAhead }.victim(among: residents, for: place)
  }
}
