import Synchronization

/// Items in this process's memory: the pool above a disk, and the double of any other tier in tests.
package final class MemoryTier: StorageTier {
  package let name = "memory"
  package let byteLimit: Int

  /// Guarded by `state`.
  private final class Item: @unchecked Sendable {
    var facts: TierItem
    var manifest: Manifest
    var blocks: [Int: SectionBlock] = [:]
    var marks: [Int64] = []
    /// Grows with each use.
    var turn: Int64

    init(_ facts: TierItem, _ manifest: Manifest, turn: Int64) {
      (self.facts, self.manifest, self.turn) = (facts, manifest, turn)
    }
  }

  private struct Mark: Hashable {
    let tenant: String
    let number: Int64
  }

  private struct State {
    var items: [ItemKey: Item] = [:]
    var bytes = 0
    var turn: Int64 = 0
    var departures = Departures()
    var marked: [Mark: String] = [:]
    var shared = SharedBlocks()
    var leases = LeaseTable()

    mutating func setMarks(_ marks: [Int64], of item: Item) {
      let key = item.facts.key
      for number in item.marks {
        let mark = Mark(tenant: key.tenant, number: number)
        if marked[mark] == key.name { marked[mark] = nil }
      }
      for number in marks { marked[Mark(tenant: key.tenant, number: number)] = key.name }
      item.marks = marks
    }

    /// Bytes by which the items grow where one of them, or a new one, becomes what a manifest says.
    func growth(_ manifest: Manifest, of key: ItemKey) -> Int {
      let before = items[key]?.manifest.sections ?? []
      let kept = Set(manifest.sections.compactMap(\.address))
      var bytes = 0
      for section in manifest.sections {
        let isThere = section.address.map { shared[SharedBlocks.Key(owner: key.owner, address: $0)] != nil } ?? false
        if !isThere { bytes += section.bytes }
      }
      for section in before {
        guard let address = section.address else {
          bytes -= section.bytes
          continue
        }
        let isLast = shared.isLast(SharedBlocks.Key(owner: key.owner, address: address))
        if isLast, !kept.contains(address) { bytes -= section.bytes }
      }
      return bytes
    }

    /// Gives an item the blocks of a change, those that others have already as they are.
    ///
    /// - Returns: bytes that were copied.
    mutating func fill(_ item: Item, from change: ItemChange, _ existing: Item?) -> Int {
      let before = change.base == nil ? [] : existing?.manifest.sections ?? []
      let sharedBefore = Set(before.lazy.filter { $0.address != nil }.map(\.number))
      var known: Set<Int> = []
      for section in change.manifest.sections {
        if let address = section.address,
          let block = shared[SharedBlocks.Key(owner: change.key.owner, address: address)]
        {
          item.blocks[section.number] = block
          known.insert(section.number)
          continue
        }
        let isPrivate = change.base != nil && !sharedBefore.contains(section.number)
        let parts = section.parts.map(\.bytes)
        let old = isPrivate ? existing?.blocks[section.number] : nil
        item.blocks[section.number] =
          old?.resized(to: parts) ?? SectionBlock(parts: parts, pageStride: section.pageStride)
      }
      var written = 0
      for page in change.pages where !known.contains(page.place.section) {
        item.blocks[page.place.section]?.write(page.bytes, part: page.place.part, page: page.place.page)
        written += page.bytes.count
      }
      return written
    }

    /// Counts an item's blocks in.
    mutating func hold(_ item: Item) {
      for section in item.manifest.sections {
        guard let address = section.address, let block = item.blocks[section.number] else {
          bytes += section.bytes
          continue
        }
        bytes += shared.use(SharedBlocks.Key(owner: item.facts.key.owner, address: address), block)
      }
    }

    /// Counts the blocks of an item out that is not there any more.
    mutating func release(_ item: Item?) {
      guard let item else { return }
      for section in item.manifest.sections {
        guard let address = section.address else {
          bytes -= section.bytes
          continue
        }
        bytes -= shared.release(SharedBlocks.Key(owner: item.facts.key.owner, address: address))
      }
    }
  }

  private let state = Mutex(State())

  private let milliseconds: @Sendable () -> Int64

  /// - Parameter milliseconds: the clock of leases; nil takes one that only goes forward
  package init(byteLimit: Int, milliseconds: (@Sendable () -> Int64)? = nil) {
    self.byteLimit = byteLimit
    let start = ContinuousClock.now
    self.milliseconds = milliseconds ?? { Int64((ContinuousClock.now - start) / .milliseconds(1)) }
  }

  package func bytes() -> Int { state.withLock { $0.bytes } }

  package func items() -> [TierItem] {
    state.withLock { $0.items.values.sorted { $0.turn < $1.turn }.map(\.facts) }
  }

  package func item(_ key: ItemKey) -> TierItem? { state.withLock { $0.items[key]?.facts } }

  package func manifest(of key: ItemKey) -> [UInt8]? { state.withLock { $0.items[key]?.manifest.encoded } }

  package func startOfAnyManifest() -> [UInt8]? {
    state.withLock { $0.items.values.first?.manifest.encoded.prefix(Manifest.startBytes).map { $0 } }
  }

  package func growth(with change: ItemChange) -> Int {
    state.withLock { $0.growth(change.manifest, of: change.key) }
  }

  package func apply(_ change: ItemChange) throws(TierError) -> Int {
    let now = milliseconds()
    let result = state.withLock { state -> Result<Int, TierError> in
      guard state.leases.admits(change.token, change.key, at: now) else { return .failure(.fenced) }
      let existing = state.items[change.key]
      if let existing, let mismatch = SealMismatch(of: change.manifest.seal?.mark, with: existing.manifest.seal?.mark) {
        return .failure(.sealed(mismatch))
      }
      if let base = change.base {
        guard let existing else { return .failure(.gone) }
        guard existing.facts.generation == base else { return .failure(.outOfStep) }
      }
      let item = Item(
        TierItem(
          key: change.key, generation: change.manifest.generation, bytes: change.manifest.bytes,
          saved: change.manifest.saved, used: change.manifest.saved, isPinned: existing?.facts.isPinned ?? false),
        change.manifest, turn: state.turn + 1)
      guard state.bytes + state.growth(change.manifest, of: change.key) <= byteLimit else { return .failure(.full) }
      let written = state.fill(item, from: change, existing)
      state.turn += 1
      state.hold(item)
      state.release(existing)
      state.items[change.key] = item
      item.marks = existing?.marks ?? []
      if let marks = change.marks { state.setMarks(marks, of: item) }
      state.departures.forget(change.key)
      return .success(written)
    }
    return try result.get()
  }

  package func read(
    _ section: StoredSection, of key: ItemKey, generation: Int64, _ body: (UnsafeRawBufferPointer) -> Void
  ) throws(TierError) {
    let isThere = state.withLock { state in
      guard let item = state.items[key], item.facts.generation == generation else { return false }
      body(item.blocks[section.number]?.contents ?? UnsafeRawBufferPointer(start: nil, count: 0))
      return true
    }
    guard isThere else { throw .gone }
  }

  package func remove(_ key: ItemKey, because reason: Departure) {
    state.withLock { state in
      guard let item = state.items.removeValue(forKey: key) else { return }
      state.setMarks([], of: item)
      state.release(item)
      state.departures.note(key, reason)
    }
  }

  package func departure(of key: ItemKey) -> Departure? { state.withLock { $0.departures.reason(key) } }

  package func noteUse(of key: ItemKey, at seconds: Int64) {
    state.withLock { state in
      state.turn += 1
      state.items[key]?.turn = state.turn
      state.items[key]?.facts.used = seconds
    }
  }

  package func setPinned(_ isPinned: Bool, _ key: ItemKey) {
    state.withLock { $0.items[key]?.facts.isPinned = isPinned }
  }

  package func copy(
    _ key: ItemKey, to other: ItemKey, at seconds: Int64, _ relabel: ManifestChange?
  ) throws(TierError) {
    let problem = state.withLock { state -> TierError? in
      guard let item = state.items[key] else { return .gone }
      var manifest = item.manifest
      do throws(TierError) {
        if let bytes = try relabel?(manifest.encoded) { manifest = try Manifest(stored: bytes) }
      } catch {
        return error
      }
      guard state.bytes + state.growth(item.manifest, of: other) <= byteLimit else { return .full }
      state.turn += 1
      let facts = TierItem(
        key: other, generation: item.facts.generation, bytes: item.facts.bytes, saved: seconds, used: seconds,
        isPinned: false)
      let copy = Item(facts, manifest, turn: state.turn)
      for section in item.manifest.sections {
        let isShared = section.address != nil && key.owner == other.owner
        copy.blocks[section.number] = isShared ? item.blocks[section.number] : item.blocks[section.number]?.copy()
      }
      state.hold(copy)
      state.release(state.items[other])
      state.items[other] = copy
      state.departures.forget(other)
      return nil
    }
    if let problem { throw problem }
  }
}

extension MemoryTier {
  package func name(marked marks: [Int64], of tenant: String) -> MarkedName? {
    state.withLock { state in
      for number in marks {
        guard let name = state.marked[Mark(tenant: tenant, number: number)] else { continue }
        return MarkedName(name: name, mark: number)
      }
      return nil
    }
  }

  package func lease(_ key: ItemKey, to owner: String, milliseconds: Int64) -> LeaseAnswer {
    let now = self.milliseconds()
    return state.withLock { $0.leases.take(key, owner, for: milliseconds, at: now) }
  }

  package func renewLease(_ lease: Lease, milliseconds: Int64) -> Bool {
    let now = self.milliseconds()
    return state.withLock { $0.leases.renew(lease, for: milliseconds, at: now) }
  }

  package func endLease(_ lease: Lease) {
    let now = milliseconds()
    state.withLock { $0.leases.end(lease, at: now) }
  }
}

/// Why items are no longer there, for the newest of those that left.
struct Departures {
  static let limit = 4096
  private var reasons: [ItemKey: (reason: Departure, turn: Int)] = [:]
  private var turn = 0

  mutating func note(_ key: ItemKey, _ reason: Departure) {
    turn += 1
    reasons[key] = (reason, turn)
    // Half of them go at once, so that this is rare.
    guard reasons.count > Self.limit else { return }
    let oldest = turn - Self.limit / 2
    reasons = reasons.filter { $0.value.turn > oldest }
  }

  mutating func forget(_ key: ItemKey) { reasons[key] = nil }

  func reason(_ key: ItemKey) -> Departure? { reasons[key]?.reason }
}
