import Kernels

/// What a cache remembers, in sections that can be saved and taken up one by one.
extension KVCache {
  package func sections() -> [SectionName] {
    var names: [SectionName] = []
    for (index, group) in groups.enumerated() { group.forEachSection(group: index) { names.append($0) } }
    return names + recurrentSections
  }

  /// The sections that can have changed since the cache had seen `tokenCount` tokens, as long as none was taken back.
  ///
  /// Blocks of slots that were full by then stay as they are, and so does what was chosen of a prompt; everything else that a
  /// step touches is new. Where a prompt was cut at that very count, before or after, everything is.
  package func changedSections(since tokenCount: Int64) -> [SectionName] {
    sections().filter {
      $0.group < groups.count ? groups[$0.group].hasChanged($0, since: tokenCount) : tokenCount < self.tokenCount
    }
  }

  /// Those of recurrent states, which count as one group more.
  var recurrentSections: [SectionName] {
    recurrent.layout.layers.map {
      SectionName(group: groups.count, layer: $0, state: RecurrentMemory.stateName, block: 0)
    }
  }

  /// Appends the bytes of a section.
  func write(_ name: SectionName, to writer: inout SectionWriter) {
    if name.group == groups.count { return recurrent.write(layer: name.layer, to: &writer) }
    groups[name.group].write(name, to: &writer)
  }

  /// Hands some sections to a sink.
  ///
  /// - Throws: what the sink throws, and `KVCacheError` where the cache is not to be used (`failure`).
  package func write(_ names: [SectionName], to sink: inout some SectionSink) throws {
    arrival?.waitForAll()
    if let failure { throw failure }
    for name in names {
      if let distantHeads, name.group < groups.count {
        try distantHeads.read(name).withUnsafeBytes { try sink.write(name, $0) }
        continue
      }
      var writer = SectionWriter()
      write(name, to: &writer)
      try writer.bytes.withUnsafeBytes { try sink.write(name, $0) }
    }
  }

  /// How many bytes of a section grow or change by themselves, one after another: each head's keys and values in a block of
  /// slots; all of a state, whose length is only known once it is written, is one part (nil).
  package func parts(of name: SectionName) -> [Int]? {
    guard name.group < groups.count, name.state == SectionName.slots else { return nil }
    return groups[name.group].slotRanges(of: name).map(\.count)
  }

  /// What must agree between sections and the cache that takes them up, wherever that keeps its heads.
  package var identity: String {
    let stored = groups.map { ($0.plan, $0.heads, $0.attention) }
    let whole = distantHeads == nil ? nil : try? plan.parts(for: attention).map { ($0.plan, $0.heads, $0.attention) }
    let kept = (whole ?? stored).map { plan, stored, layer in
      let shape = "\(stored.layers.count)x\(layer.keyValueHeads)x\(layer.headDim)"
      let heads = groups.count == 1 ? "" : " heads \(stored.fingerprint)"
      return "\(plan) \(slotType.rawValue) [layer, KV head, dim] \(shape)\(heads) \(layer.positions.fingerprint)"
    }
    let layout = recurrent.layout
    let states = layout.layers.map { "recurrent \($0):\(layout.range(ofLayer: $0).count)" }
    return (kept + states).joined(separator: "; ")
  }
}

extension HeadGroup {
  /// Whether a section can have changed since the group had seen so many tokens.
  fileprivate func hasChanged(_ name: SectionName, since tokenCount: Int64) -> Bool {
    if states.contains(where: { $0.lastChange >= tokenCount }) { return true }
    guard tokenCount < ledger.tokenCount else { return false }
    if name.state == SectionName.slots { return changes(block: name.block, since: tokenCount) }
    return !states.contains { $0.name == name.state && $0.isSettled }
  }

  /// Whether a step since the group had seen so many tokens can have written to a block.
  private func changes(block: Int, since tokenCount: Int64) -> Bool {
    let stage = slots.places.count - 1
    let index = block - slots.firstBlock(ofStage: stage)
    guard ledger.stages[stage].capacity == nil, index >= 0 else {
      // What was packed stays, and so does the start of the stream where nothing else lies beside it.
      let bounded = ledger.stages.filter { $0.capacity != nil }
      let capacity = bounded.reduce(0) { $0 + Int64($1.capacity ?? 0) }
      return tokenCount < capacity || !bounded.allSatisfy(\.holdsStreamStart)
    }
    // Blocks in front of the newest one that held a token by then are full.
    let place = slots.places[stage]
    let heldThen = Int64(ledger.stages[stage].usedSlots) - (ledger.tokenCount - tokenCount)
    return Int64(place.growth.firstSlot(ofBlock: index) + place.growth.slots(ofBlock: index)) > heldThen
  }
}

extension PositionEncoding {
  /// A short text that differs between encodings whose stored keys differ.
  fileprivate var fingerprint: String {
    switch self {
    case .none: "no positions"
    case .linearBias: "alibi"
    case .rotary(let rotary):
      "rope \(rotary.layout == .halves ? "halves" : "interleaved") "
        + String(rotary.frequencies.reduce(UInt64(rotary.frequencies.count)) { ($0 &* 31) &+ $1.bitPattern }, radix: 16)
    }
  }
}
