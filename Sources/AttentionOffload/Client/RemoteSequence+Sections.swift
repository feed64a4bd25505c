import KVCaches

/// Sections of a sequence as one process would have them, put together from its workers' and divided among them.
extension RemoteSequence {
  func sections(of cache: KVCache, changedSince tokens: Int64) throws(KVCacheError) -> [SectionListing] {
    let lists = try forEachLink { link throws(OffloadError) in try link.sections(of: id, changedSince: tokens) }
    // Of heads that share slots all count the same.
    let heads = lists.indices.prefix(attention?.division.heads ?? 1)
    counters = try cache.joinedCounters(heads.map { (share: share(of: $0), counters: lists[$0].counters) })
    note(lists)
    var places: [SectionName: Int] = [:]
    var joined = counters.indices.map {
      SectionListing(SectionName(countersOf: $0), parts: nil, hasChanged: true)
    }
    for entry in lists.flatMap(\.entries) {
      guard let place = places[entry.name] else {
        places[entry.name] = joined.count
        joined.append(entry)
        continue
      }
      joined[place].hasChanged = joined[place].hasChanged || entry.hasChanged
      if let parts = entry.parts { joined[place].parts = (joined[place].parts ?? []) + parts }
    }
    return joined
  }

  func read(_ name: SectionName) throws(KVCacheError) -> [UInt8] {
    if name.layer < 0, counters.indices.contains(name.group) { return counters[name.group] }
    var next = sections.makeIterator()
    let pieces = try forEachLink { link throws(OffloadError) in
      guard let section = next.next()?[name], section.parts != [] else { return [UInt8]() }
      return try link.read(name, of: id)
    }
    return Array(pieces.joined())
  }

  func beginRestoring(
    _ cache: KVCache, counters: [UnsafeRawBufferPointer], payload: Int, keptTokens: Int64
  ) throws(KVCacheError) -> Set<SectionName> {
    failure = nil
    chosenBytes = nil
    guard attention?.ensureOpen(self) ?? false else {
      throw failure ?? .lostElsewhere("the workers do not take it")
    }
    var descriptions: [RestoreDescription] = []
    for index in 0..<linkCount {
      var description = RestoreDescription()
      description.counters = try cache.counters(storing: share(of: index), from: counters)
      (description.payload, description.keptTokens) = (payload, keptTokens)
      descriptions.append(description)
    }
    var next = descriptions.makeIterator()
    let lists = try forEachLink { link throws(OffloadError) in
      try link.restore(id, next.next() ?? RestoreDescription())
    }
    note(lists)
    return Set(lists.flatMap(\.entries).filter(\.hasChanged).map(\.name))
  }

  func restore(_ name: SectionName, _ bytes: UnsafeRawBufferPointer) throws(KVCacheError) {
    var (next, offset) = (sections.makeIterator(), 0)
    _ = try forEachLink { link throws(OffloadError) in
      guard let entry = next.next()?[name] else { return }
      let length = entry.parts?.reduce(0, +)
      guard length.map({ $0 <= bytes.count - offset }) ?? true else {
        throw .refused(.request, "\(name) has \(bytes.count) bytes")
      }
      if entry.hasChanged {
        let piece = bytes[offset..<(length.map { offset + $0 } ?? bytes.count)]
        let taken = try link.write(name, UnsafeRawBufferPointer(rebasing: piece), of: id)
        guard length == nil || taken == length else { throw .badFrame("\(taken) bytes taken of \(name)") }
        offset += taken
      } else {
        offset += length ?? 0
      }
    }
    guard offset == bytes.count else { throw .badSnapshot("\(name) is \(bytes.count - offset) bytes too long") }
  }

  func endRestoring() throws(KVCacheError) {
    let states = try forEachLink { link throws(OffloadError) in try link.ask(.endRestoring, id) }
    if description.plan.prompt != nil { chosenBytes = states.reduce(0) { $0 + Int(clamping: $1.bytes) } }
    (sections, counters) = ([], [])
  }

  private func note(_ lists: [SectionList]) {
    sections = lists.map { list in
      Dictionary(list.entries.map { ($0.name, $0) }) { first, _ in first }
    }
  }

  private var linkCount: Int { attention?.links(of: group).count ?? 0 }

  /// The heads of one of the group's workers.
  private func share(of index: Int) -> HeadShare {
    guard let attention else { return .all }
    return attention.links[attention.links(of: group).lowerBound + index].model.heads
  }

  /// Calls `body` with each worker of the group.
  ///
  /// - Throws: `KVCacheError.lostElsewhere`; a worker that only refuses goes on.
  private func forEachLink<Result>(
    _ body: (WorkerLink) throws(OffloadError) -> Result
  ) throws(KVCacheError) -> [Result] {
    guard let attention else { throw .lostElsewhere("nobody keeps it any more") }
    if let failure { throw failure }
    var results: [Result] = []
    for index in attention.links(of: group) {
      do throws(OffloadError) { results.append(try body(attention.links[index])) } catch {
        if case .refused = error { throw .lostElsewhere("\(error)") }
        attention.note(error, of: self, index)
        throw failure ?? .lostElsewhere("\(error)")
      }
    }
    return results
  }
}
