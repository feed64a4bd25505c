package import KVCaches
import Synchronization

/// Reading items on a thread of its own, so that a tier that hangs holds up nobody who can go on without it.
extension SessionStore {
  /// Begins to load an item into a cache that nobody else uses until it has begun or failed; returns at once.
  package func load(
    _ key: ItemKey, for fingerprint: Fingerprint, into cache: KVCache, terms: LoadTerms
  ) -> ItemLoad {
    let load = ItemLoad(self, key, for: fingerprint, into: cache, terms: terms)
    reader.enqueue(urgent: true) { load.run() }
    return load
  }

  /// Seconds for which an item is waited for.
  func loadLimit(tokens: Int64) -> Double { options.loadSeconds ?? LoadTerms.limit(tokens: tokens) }

  /// Notes that an item is read, so that it makes room for no other.
  func noteLoading(_ key: ItemKey, begins: Bool) {
    state.withLock { state in
      let count = (state.loading[key] ?? 0) + (begins ? 1 : -1)
      state.loading[key] = count > 0 ? count : nil
    }
  }

  func noteRead(bytes: Int, seconds: Double, from tier: String) {
    state.withLock { $0.estimates.note(bytes: bytes, seconds: seconds, from: tier) }
  }

  /// Seconds that some bytes of an item will take; nil where nothing is known of its tier.
  func loadSeconds(of item: FoundItem, bytes: Int) -> Double? {
    state.withLock { $0.estimates.seconds(bytes: bytes, from: item.tier) }
  }

  /// Whether computing some of an item again takes no longer than waiting for its bytes, as far as is known.
  func isSlower(_ item: FoundItem, bytes: Int, than seconds: Double) -> Bool {
    state.withLock { state in
      guard let load = state.estimates.seconds(bytes: bytes, from: item.tier),
        load >= LoadTerms.worthwhile * seconds
      else { return false }
      state.estimates.doubt(item.tier)
      return true
    }
  }
}
