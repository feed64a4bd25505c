import KVCaches

/// An item on its way from a tier into a cache: counters and states first, then layer by layer.
///
/// A thread of the store reads. The thread that computes looks now and then (`isReady`), begins once so much is there that
/// it need not wait later (`LayerLead`), and waits in attention for what is still missing. Until it begins all is kept aside,
/// so what fails leaves the cache as it was. Of a cache that can be cut the start is enough: it begins with the oldest blocks that
/// came whole of all layers (`shortfall` says why with no more).
package final class ItemLoad: @unchecked Sendable {
  package let key: ItemKey
  private let store: SessionStore
  private let fingerprint: Fingerprint
  private let terms: LoadTerms
  /// Whether the start of what is stored is of use alone.
  private let canBeCut: Bool
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
  private var shortcoming: Miss?
  /// Whether all that has to come before the cache can begin is there.
  private var isOpenable = false
  private var hasBegun = false
  private var isWhole = false
  /// Tokens that are wanted, of which the cache takes up whole panels.
  private var wanted = 0
  /// Bytes of the layers whose slots may come late, in their order, and how many of them are there.
  private var layerBytes: [Int] = []
  private var arrivedLayers = 0
  private var secondsPerByte = MovingMean()
  private var layerSeconds: Double?

  init(_ store: SessionStore, _ key: ItemKey, for fingerprint: Fingerprint, into cache: KVCache, terms: LoadTerms) {
    (self.store, self.key, self.fingerprint, self.cache, self.terms) = (store, key, fingerprint, cache, terms)
    canBeCut = cache.canBeCut
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
        if beginsWithLess(error) { return }
        return fail(error, isCounted: wasNotFound)
      }
    }
  }

  private func load() throws(Miss) {
    let item = try look()
    let wanted = canBeCut ? min(Int(item.manifest.tokens), terms.wanted(item)) : Int(item.manifest.tokens)
    let computing = terms.computing(Int64(wanted))
    let share = Double(wanted) / Double(max(1, item.manifest.tokens))
    let bytes = Int(Double(item.manifest.bytes) * share)
    if let again = computing.againSeconds, store.isSlower(item, bytes: bytes, than: again) { throw .slower }
    let order = try begin(item, computing, wanted: wanted, bytes: bytes)
    for (section, isLastOfLayer) in order {
      do throws(Miss) {
        try take(section, of: item, isLastOfLayer)
      } catch {
        try spare(section, error)
      }
    }
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
    _ item: FoundItem, _ computing: LoadTerms.Computing, wanted: Int, bytes: Int
  ) throws(Miss) -> [(section: StoredSection, isLastOfLayer: Bool)] {
    let memory = item.manifest.sections.filter { !$0.name.isRecord }
    do {
      return try item.withCounters(in: memory) { counters in
        try monitor.withLock {
          guard problem == nil else { throw Miss.timedOut }
          let restoration = try Restoration(cache, counters: counters, payload: memory.reduce(0) { $0 + $1.bytes })
          if wanted < restoration.tokens { restoration.cut(to: wanted / KVCache.cutStep * KVCache.cutStep) }
          self.wanted = wanted
          let (missing, early) = (restoration.missingSections, restoration.sectionsBeforeOpening)
          let late = memory.filter { missing.contains($0.name) && !early.contains($0.name) }
            .sorted(by: comesOldestFirst(item, computing, bytes: bytes) ? Self.isOlder : Self.isInLowerLayer)
          self.restoration = restoration
          isOpenable = early.isEmpty
          layerSeconds = computing.layerSeconds
          layerBytes = []
          var order = memory.filter { early.contains($0.name) }.map { (section: $0, isLastOfLayer: false) }
          var lengths: [Int: Int] = [:]
          for section in late { lengths[section.name.layer, default: 0] += section.bytes }
          layerBytes = lengths.sorted { $0.key < $1.key }.map(\.value)
          var rest = Dictionary(grouping: late, by: \.name.layer).mapValues(\.count)
          for section in late {
            rest[section.name.layer, default: 1] -= 1
            order.append((section, rest[section.name.layer] == 0))
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

  /// Whether blocks come in the order of the stream, each of all layers: where no layer would begin before all are there, or all
  /// will hardly come in time, so that what came is of use.
  private func comesOldestFirst(_ item: FoundItem, _ computing: LoadTerms.Computing, bytes: Int) -> Bool {
    guard canBeCut else { return false }
    guard computing.layerSeconds != nil else { return true }
    guard deadline != nil, let seconds = store.loadSeconds(of: item, bytes: bytes) else { return false }
    return seconds > store.loadLimit(tokens: item.manifest.tokens)
  }

  private static func isInLowerLayer(_ a: StoredSection, _ b: StoredSection) -> Bool {
    (a.name.layer, a.name.group, a.name.block) < (b.name.layer, b.name.group, b.name.block)
  }

  private static func isOlder(_ a: StoredSection, _ b: StoredSection) -> Bool {
    (a.name.block, a.name.layer, a.name.group) < (b.name.block, b.name.layer, b.name.group)
  }

  /// Goes on without the blocks from a damaged section on.
  ///
  /// - Throws: the miss where nothing would be left, or the cache has begun.
  private func spare(_ section: StoredSection, _ miss: Miss) throws(Miss) {
    let isSpared = monitor.withLock { () -> Bool in
      guard miss == .corrupt, problem == nil, !hasBegun, canBeCut, let restoration,
        restoration.firstToken(of: section.name) > 0
      else { return false }
      restoration.cut(to: restoration.firstToken(of: section.name))
      note(shortfall: miss)
      return true
    }
    guard isSpared else { throw miss }
  }

  /// With the lock held: notes why the cache begins with less than was wanted.
  private func note(shortfall miss: Miss) {
    guard shortcoming == nil else { return }
    shortcoming = miss
    store.noteMiss(miss)
  }

  /// With the lock held: leaves out what has not come.
  ///
  /// - Returns: false where nothing is left.
  private func cutToArrived(_ miss: Miss) -> Bool {
    guard problem == nil, !hasBegun, canBeCut, let restoration, restoration.arrivedTokens > 0 else { return false }
    restoration.cut(to: restoration.arrivedTokens)
    note(shortfall: miss)
    isWhole = true
    return true
  }

  /// Whether what has come is enough to begin with, although no more will come.
  private func beginsWithLess(_ miss: Miss) -> Bool {
    monitor.withLock {
      guard !wasNotFound, !isWhole else { return isWhole && problem == nil }
      defer { monitor.broadcast() }
      return cutToArrived(miss)
    }
  }

  private func take(_ section: StoredSection, of item: FoundItem, _ isLastOfLayer: Bool) throws(Miss) {
    // What was cut off since is not read.
    guard monitor.withLock({ restoration?.missingSections.contains(section.name) ?? true }) else { return }
    let clock = ContinuousClock.now
    var result = Result<Void, Miss>.success(())
    try item.read(section) { bytes in
      result = monitor.withLock {
        guard problem == nil, !isWhole, let restoration else { return .failure(problem ?? .timedOut) }
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
      (found, restoration, isOpenable, arrivedLayers, shortcoming) = (nil, nil, false, 0, nil)
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
      if isLate, !isWhole { _ = cutToArrived(.timedOut) }
      guard let found, let restoration, isOpenable, isWhole || !isLate else { return .failure(.timedOut) }
      do {
        if isWhole { try restoration.finish() } else { restoration.open(until: deadline) }
      } catch {
        return .failure(.corrupt)
      }
      hasBegun = true
      cache.noteSaved()
      if cache.tokenCount < found.manifest.tokens { cache.noteCut() }
      return .success(found)
    }
    if case .failure(let miss) = result { fail(miss) }
    return try result.get()
  }

  /// Tokens that were wanted; known once the item was found.
  package var wantedTokens: Int { monitor.withLock { wanted } }

  /// Why the cache has begun with fewer tokens than were wanted; nil where it has them all.
  package var shortfall: Miss? { monitor.withLock { shortcoming } }

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
