/// A cache that takes up sections one by one, layers in any order.
///
/// The cache changes when all are there (`finish`), or computes with the layers it has while later ones still come
/// (`open`). One thread at a time uses it, which need not be the one that computes.
package final class Restoration: @unchecked Sendable {
  private let cache: KVCache
  private let groups: [HeadGroup]
  private let recurrent: RecurrentMemory
  private var missing: Set<SectionName> = []
  /// What the groups held when they were saved, `[group]`.
  private let storedStages: [[any Stage]]
  /// Where the slots of sections go once the cache computes, since its counters then run ahead of what comes.
  private var targets: [SectionName: SlotTargets] = [:]
  private var arrival: LayerArrival?

  /// Takes up the counters of all groups.
  ///
  /// - Parameters:
  ///   - counters: the counters' section of each group
  ///   - payload: bytes of all other sections, which bound what the counters can claim
  ///   - keptTokens: up to which token heads that are kept elsewhere still are what was saved
  ///   - leavesRecurrent: whether recurrent states are left out
  /// - Throws: `KVCacheError` where they are impossible for the cache.
  package init(
    _ cache: KVCache, counters: [UnsafeRawBufferPointer], payload: Int, keptTokens: Int64 = 0,
    leavesRecurrent: Bool = false
  ) throws(KVCacheError) {
    let groups = try cache.makeGroups()
    guard counters.count == groups.count else { throw .badSnapshot("it has counters of \(counters.count) groups") }
    for (group, bytes) in zip(groups, counters) {
      if cache.distantHeads == nil {
        try group.readCounters(bytes, payload: payload)
      } else {
        try group.adoptCounters(bytes)
      }
    }
    guard Set(groups.map(\.ledger.tokenCount)).count == 1 else {
      throw .badSnapshot("groups that have seen other tokens")
    }
    (self.cache, self.groups, recurrent) = (cache, groups, cache.recurrent.empty())
    storedStages = groups.map(\.ledger.stages)
    for (index, group) in groups.enumerated() {
      var names: [SectionName] = []
      group.forEachSection(group: index) { names.append($0) }
      missing.formUnion(names.dropFirst())
    }
    if !leavesRecurrent { missing.formUnion(cache.recurrentSections) }
    if let distant = cache.distantHeads {
      missing.formUnion(
        try distant.beginRestoring(cache, counters: counters, payload: payload, keptTokens: keptTokens))
    }
  }

  /// Sections that have not come yet.
  package var missingSections: Set<SectionName> { missing }

  /// Those that have to come before the cache can compute: what is not slots, and slots too where a state looks at all of
  /// them, such as bounds of pages or a prompt that has yet to be cut.
  package var sectionsBeforeOpening: Set<SectionName> {
    missing.filter { name in
      name.state != SectionName.slots
        || groups[name.group].states.contains { $0.needsAllLayers(of: groups[name.group]) }
    }
  }

  /// Tokens of the stream that the cache will have seen.
  package var tokens: Int { Int(groups[0].ledger.tokenCount) }

  /// Tokens from the start of the stream whose slots are there in all layers, of a cache that can be cut.
  package var arrivedTokens: Int { missing.reduce(tokens) { min($0, firstToken(of: $1)) } }

  /// Tokens of the stream in front of those in a section, of a cache that can be cut.
  package func firstToken(of name: SectionName) -> Int { groups[name.group].firstToken(ofBlock: name.block) }

  /// Has the cache take up the start of the stream only; sections of what follows are no longer missing.
  ///
  /// - Parameter tokens: a multiple of `KVCache.cutStep`, but for all that there are
  /// - Precondition: the cache can be cut and is not open.
  package func cut(to tokens: Int) {
    precondition(cache.canBeCut && arrival == nil, "a cache that begins as it is")
    precondition(tokens == self.tokens || tokens < self.tokens && tokens % KVCache.cutStep == 0, "an impossible cut")
    for group in groups { group.cut(to: tokens) }
    missing = missing.filter { firstToken(of: $0) < tokens }
  }

  /// Takes up a section; once the cache is open, from any one thread.
  ///
  /// - Throws: `KVCacheError` where it is none that is missing, or impossible. A cache that was opened is then not to be used
  ///   any more (`KVCache.failure`).
  package func take(_ name: SectionName, _ bytes: UnsafeRawBufferPointer) throws(KVCacheError) {
    do throws(KVCacheError) {
      guard missing.contains(name) else { throw .badSnapshot("\(name) does not belong to it") }
      if let distant = cache.distantHeads, name.group < groups.count {
        try distant.restore(name, bytes)
      } else if let arrival {
        try copy(name, bytes, arrival)
      } else if name.group == groups.count {
        try recurrent.read(layer: name.layer, bytes)
      } else {
        let taken = try groups[name.group].read(name, bytes, storedBy: storedStages[name.group])
        guard taken == bytes.count else {
          throw .badSnapshot("\(name) has \(bytes.count) bytes instead of \(taken)")
        }
      }
      missing.remove(name)
    } catch {
      arrival?.fail(error)
      throw error
    }
  }

  /// Takes up a section that stands at the front of some bytes, of a cache that is not open.
  ///
  /// - Returns: its length.
  /// - Throws: as `take`.
  package func takeFront(_ name: SectionName, _ bytes: UnsafeRawBufferPointer) throws(KVCacheError) -> Int {
    guard missing.contains(name), name.group < groups.count else { throw .badSnapshot("\(name) does not belong to it") }
    let taken = try groups[name.group].read(name, bytes, storedBy: storedStages[name.group])
    missing.remove(name)
    return taken
  }

  /// How many bytes a section of slots has, part by part; nil for states, whose length shows when they are read.
  package func parts(of name: SectionName) -> [Int]? {
    guard name.group < groups.count, name.state == SectionName.slots else { return nil }
    return groups[name.group].slotRanges(of: name).map(\.count)
  }

  private func copy(
    _ name: SectionName, _ bytes: UnsafeRawBufferPointer, _ arrival: LayerArrival
  ) throws(KVCacheError) {
    try targets.removeValue(forKey: name)?.fill(from: bytes, name)
    arrival.note(layer: name.layer)
  }

  /// Has the cache be what the sections say from now on: it can go on at once, and attention waits in each layer for what is
  /// still missing there.
  ///
  /// - Parameter deadline: when it waits no longer, and the cache is not to be used any more (`KVCache.failure`)
  /// - Precondition: none of `sectionsBeforeOpening` is missing.
  package func open(until deadline: ContinuousClock.Instant? = nil) {
    precondition(sectionsBeforeOpening.isEmpty && arrival == nil, "sections that a cache cannot begin without")
    var counts = [Int](repeating: 0, count: cache.attention.count)
    for name in missing {
      counts[name.layer] += 1
      targets[name] = groups[name.group].slotTargets(of: name, storedBy: storedStages[name.group])
    }
    let arrival = LayerArrival(missing: counts, deadline: deadline)
    self.arrival = arrival
    settle()
    cache.replace(groups, recurrent, arrival: arrival)
  }

  private func settle() {
    for group in groups {
      for state in group.states { state.didRestore(group) }
    }
  }

  /// Has the cache be what the sections say, where it was not opened before.
  ///
  /// - Throws: `KVCacheError` where a section is missing. A cache that was opened is then not to be used any more.
  package func finish() throws(KVCacheError) {
    if let name = missing.min(by: { $0.description < $1.description }) {
      let error = KVCacheError.badSnapshot("\(name) is missing")
      arrival?.fail(error)
      throw error
    }
    guard arrival == nil else { return }
    try cache.distantHeads?.endRestoring()
    settle()
    cache.replace(groups, recurrent)
  }

  /// Says that what has not come will not come: a cache that was opened is not to be used any more.
  package func fail(_ error: KVCacheError) { arrival?.fail(error) }

  /// Why a cache that was opened is not to be used any more.
  package var failure: KVCacheError? { arrival?.failure }

  deinit {
    if !missing.isEmpty { arrival?.fail(.badSnapshot("the rest of it did not come")) }
  }
}
