package import KVCaches

/// An item on its way from a tier into a cache: counters and states first, then layer by layer.
///
/// A thread of the store reads. The thread that computes looks now and then (`isReady`), begins once so much is there that
/// it need not wait later (`LayerLead`), and waits in attention for what is still missing. Until it begins all is kept aside,
/// so what fails leaves the cache as it was.
package final class ItemLoad: @unchecked Sendable {
  package let key: ItemKey
  private let store: SessionStore
  private let fingerprint: Fingerprint
  private let terms: LoadTerms
  private let start = ContinuousClock.now
  /// Whether it was not found, which is counted where it is looked for; only the reader's thread asks.
  private var wasNotFound = false

  /// Guards the rest.
  private let monitor = Monitor()
  private let cache: KVCache
  private var found: FoundItem?
  private var restoration: Restoration?
  private var deadline: ContinuousClock.Instant?
  private var problem: Miss?
  /// Whether all that has to come before the cache can begin is there.
  private var isOpenable = false
  private var hasBegun = false
  private var isWhole = false
  /// Bytes of the layers whose slots may come late, in their order, and how many of them are there.
  private var layerBytes: [Int] = []
  private var arrivedLayers = 0
  private var secondsPerByte = MovingMean()
  private var layerSeconds: Double?

  init(_ store: SessionStore, _ key: ItemKey, for fingerprint: Fingerprint, into cache: KVCache, terms: LoadTerms) {
    (self.store, self.key, self.fingerprint, self.cache, self.terms) = (store, key, fingerprint, cache, terms)
    deadline = terms.hasDeadline ? start + .seconds(store.loadLimit(tokens: 0)) : nil
  }

  // The store's thread.

  func run() {
    store.noteLoading(key, begins: true)
    defer {
      store.noteLoading(key, begins: false)
      terms.notify()
    }
    var isSecond = false
    while true {
      do throws(Miss) {
        return try load()
      } catch {
        // Another process may have saved it while it was read.
        if error == .evicted, !wasNotFound, !isSecond, startAgain() {
          isSecond = true
          continue
        }
        return fail(error, isCounted: wasNotFound)
      }
    }
  }

  private func load() throws(Miss) {
    let item = try look()
    let computing = terms.computing(item.manifest.tokens)
    if let again = computing.againSeconds, store.isSlower(item, than: again) { throw .slower }
    let order = try begin(item, computing)
    for (section, isLastOfLayer) in order { try take(section, of: item, isLastOfLayer) }
    monitor.withLock {
      isWhole = true
      monitor.broadcast()
    }
  }

  private func look() throws(Miss) -> FoundItem {
    let item: FoundItem
    switch store.find(key, for: fingerprint) {
    case .success(let value): item = value
    case .failure(let miss):
      wasNotFound = true
      // What was said may still serve.
      if case .otherModel = miss, let other = try? store.find(key).get() { try note(other, miss) }
      throw miss
    }
    try note(item, nil)
    return item
  }

  private func note(_ item: FoundItem, _ miss: Miss?) throws(Miss) {
    let isWanted = monitor.withLock {
      guard problem == nil else { return false }
      found = item
      if deadline != nil { deadline = start + .seconds(store.loadLimit(tokens: item.manifest.tokens)) }
      return true
    }
    guard isWanted else { throw .timedOut }
    try terms.examine(item, miss)
  }

  /// Takes up counters.
  ///
  /// - Returns: the sections that are to come, in order, and whether a section is the last late one of its layer
  private func begin(
    _ item: FoundItem, _ computing: LoadTerms.Computing
  ) throws(Miss) -> [(section: StoredSection, isLastOfLayer: Bool)] {
    let memory = item.manifest.sections.filter { !$0.name.isRecord }
    do {
      return try item.withCounters(in: memory) { counters in
        try monitor.withLock {
          guard problem == nil else { throw Miss.timedOut }
          let restoration = try Restoration(cache, counters: counters, payload: memory.reduce(0) { $0 + $1.bytes })
          let (missing, early) = (restoration.missingSections, restoration.sectionsBeforeOpening)
          let late = memory.filter { missing.contains($0.name) && !early.contains($0.name) }
            .sorted { ($0.name.layer, $0.name.group, $0.name.block) < ($1.name.layer, $1.name.group, $1.name.block) }
          self.restoration = restoration
          isOpenable = early.isEmpty
          layerSeconds = computing.layerSeconds
          layerBytes = []
          var order = memory.filter { early.contains($0.name) }.map { (section: $0, isLastOfLayer: false) }
          for (index, section) in late.enumerated() {
            let isFirst = index == 0 || late[index - 1].name.layer != section.name.layer
            if isFirst { layerBytes.append(0) }
            layerBytes[layerBytes.count - 1] += section.bytes
            let isLast = index == late.count - 1 || late[index + 1].name.layer != section.name.layer
            order.append((section, isLast))
          }
          return order
        }
      }
    } catch let miss as Miss {
      throw miss
    } catch {
      throw .corrupt
    }
  }

  private func take(_ section: StoredSection, of item: FoundItem, _ isLastOfLayer: Bool) throws(Miss) {
    let clock = ContinuousClock.now
    var result = Result<Void, Miss>.success(())
    try item.read(section) { bytes in
      result = monitor.withLock {
        guard problem == nil, let restoration else { return .failure(problem ?? .timedOut) }
        do throws(KVCacheError) {
          if let failure = restoration.failure { throw failure }
          try restoration.take(section.name, bytes)
        } catch {
          return .failure(error == .late ? .timedOut : .corrupt)
        }
        return .success(())
      }
    }
    try result.get()
    let seconds = (ContinuousClock.now - clock) / .seconds(1)
    store.noteRead(bytes: section.bytes, seconds: seconds, from: item.tier)
    let isReady = monitor.withLock {
      if section.bytes > 0 { secondsPerByte.note(seconds / Double(section.bytes)) }
      if isLastOfLayer { arrivedLayers += 1 }
      if !isOpenable { isOpenable = restoration?.sectionsBeforeOpening.isEmpty ?? false }
      return leads
    }
    if isReady { terms.notify() }
  }

  /// Forgets what came of an item that is no longer there.
  ///
  /// - Returns: false where the cache has begun with it.
  private func startAgain() -> Bool {
    monitor.withLock {
      guard !hasBegun, problem == nil else { return false }
      (found, restoration, isOpenable, arrivedLayers) = (nil, nil, false, 0)
      return true
    }
  }

  private func fail(_ miss: Miss, isCounted: Bool = false) {
    monitor.withLock {
      guard problem == nil else { return }
      problem = miss
      // Before anybody can know of it.
      if !isCounted { store.noteMiss(miss) }
      restoration?.fail(.badSnapshot("the rest of it did not come"))
      monitor.broadcast()
    }
  }

  // The thread that computes.

  /// With the lock held: whether no layer would be waited for.
  private var leads: Bool {
    if let lead = terms.lead { return isOpenable && arrivedLayers >= min(lead, layerBytes.count) }
    guard isOpenable, !isWhole, let seconds = layerSeconds, let perByte = secondsPerByte.value else { return isWhole }
    return LayerLead.suffices(
      arrivedLayers, loadSeconds: layerBytes.map { Double($0) * perByte }, computeSeconds: seconds)
  }

  /// When it has to have come; nil where it may take as long as it wants.
  package var latest: ContinuousClock.Instant? { monitor.withLock { deadline } }

  /// Whether to begin now: enough is there, or nothing more will come, or time is up.
  package var isReady: Bool {
    monitor.withLock { leads || problem != nil || deadline.map { $0 <= .now } ?? false }
  }

  /// Waits until all is there, or will not come in time.
  package func wait() {
    monitor.withLock {
      while !isWhole, problem == nil {
        if !monitor.wait(until: deadline) { return }
      }
    }
  }

  /// The item, where one was found.
  package var item: FoundItem? { monitor.withLock { found } }

  /// Has the cache go on with what is there.
  ///
  /// - Throws: `Miss`; the cache is as before then.
  package func begin() throws(Miss) -> FoundItem {
    let result = monitor.withLock { () -> Result<FoundItem, Miss> in
      if let problem { return .failure(problem) }
      let isLate = deadline.map { $0 <= .now } ?? false
      guard let found, let restoration, isOpenable, isWhole || !isLate else { return .failure(.timedOut) }
      do {
        if isWhole { try restoration.finish() } else { restoration.open(until: deadline) }
      } catch {
        return .failure(.corrupt)
      }
      hasBegun = true
      cache.noteSaved()
      return .success(found)
    }
    if case .failure(let miss) = result { fail(miss) }
    return try result.get()
  }

  /// Gives it up, for a reason that is counted.
  package func abandon(_ miss: Miss) { fail(miss) }

  /// Gives it up, since nobody wants it any more.
  package func cancel() { fail(.timedOut, isCounted: true) }

  package enum Outcome: Sendable, Hashable {
    /// Layers are still to come.
    case coming
    case whole
    /// The cache that began with it is not to be used.
    case failed(Miss)
  }

  /// What has become of it since it began.
  package var outcome: Outcome {
    let isLate = monitor.withLock { problem == nil && restoration?.failure == .late }
    if isLate { fail(.timedOut) }
    return monitor.withLock { problem.map { .failed($0) } ?? (isWhole ? .whole : .coming) }
  }
}
