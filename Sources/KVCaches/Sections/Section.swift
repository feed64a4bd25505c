/// A part of what a cache remembers, which can be saved and taken up by itself.
///
/// A group's counters come first; with them known, the slots and states of each layer can be taken up in any order.
package struct SectionName: Sendable, Hashable, CustomStringConvertible {
  /// The head group.
  package var group: Int
  /// The model's layer; -1 for the counters of a group.
  package var layer: Int
  /// Whose it is: `counters`, `slots`, or the name of a state.
  package var state: String
  /// The block of slots, counted through all stages; 0 for a state.
  package var block: Int

  package init(group: Int, layer: Int, state: String, block: Int) {
    (self.group, self.layer, self.state, self.block) = (group, layer, state, block)
  }

  static let slots = "slots"

  /// The section of a group's counters.
  static func counters(ofGroup group: Int) -> SectionName {
    SectionName(group: group, layer: -1, state: "counters", block: 0)
  }

  /// The section of a group's counters.
  package init(countersOf group: Int) { self = .counters(ofGroup: group) }

  package var description: String {
    layer < 0
      ? "the counters of group \(group)"
      : "\(state)\(block > 0 ? " block \(block)" : "") of layer \(layer) in group \(group)"
  }
}

/// Where sections go.
package protocol SectionSink {
  mutating func write(_ name: SectionName, _ bytes: UnsafeRawBufferPointer) throws
}

extension HeadGroup {
  /// Calls `body` with the names of all sections of the group, counters first, then layer by layer.
  func forEachSection(group: Int, _ body: (SectionName) -> Void) {
    body(.counters(ofGroup: group))
    for layer in heads.layers {
      for block in 0..<slots.blockCount where slots.usedSlots(ofStepBlock: block, by: ledger.stages) != 0 {
        body(SectionName(group: group, layer: layer.layer, state: SectionName.slots, block: block))
      }
      for state in states where state.isSaved {
        body(SectionName(group: group, layer: layer.layer, state: state.name, block: 0))
      }
    }
  }

  /// Appends the bytes of a section.
  func write(_ name: SectionName, to writer: inout SectionWriter) {
    if name.layer < 0 { return writeCounters(to: &writer) }
    guard let layer = heads.layers.first(where: { $0.layer == name.layer }) else {
      return assertionFailure("a layer of another group")
    }
    if name.state == SectionName.slots {
      slots.forEachUsedRange(ofStepBlock: name.block, places: layer.places, by: ledger.stages) {
        writer.write(UnsafeRawBufferPointer($0))
      }
    } else {
      states.first { $0.name == name.state }?.write(layer.places, of: self, to: &writer)
    }
  }

  private func writeCounters(to writer: inout SectionWriter) {
    writer.write(ledger.tokenCount)
    writer.write(UInt32(ledger.stages.count))
    for stage in ledger.stages {
      writer.write(UInt32(stage.counters.count))
      for counter in stage.counters { writer.write(counter) }
    }
  }

  /// Takes up counters, and makes room for what they say is held.
  ///
  /// - Parameter payload: bytes of all other sections, which bound what the counters can claim
  /// - Throws: `KVCacheError` where they are impossible.
  func readCounters(_ bytes: UnsafeRawBufferPointer, payload: Int) throws(KVCacheError) {
    let (tokens, stages) = try stages(of: bytes, payload: payload)
    for state in states { try state.checkCounters(stages, tokens: tokens, payload: payload) }
    set(tokenCount: tokens, stages: stages)
    for state in states { state.didRestoreCounters(self) }
  }

  /// Takes up counters of a group that stores the heads which this one does not.
  func adoptCounters(_ bytes: UnsafeRawBufferPointer) throws(KVCacheError) {
    let (tokens, stages) = try stages(of: bytes, payload: .max)
    ledger.set(tokenCount: tokens, stages: stages)
  }

  private func stages(
    of bytes: UnsafeRawBufferPointer, payload: Int
  ) throws(KVCacheError) -> (tokens: Int64, stages: [any Stage]) {
    var reader = SectionReader(bytes)
    let tokens = try reader.read(Int64.self)
    guard tokens >= 0, tokens < .max / 2 else { throw .badSnapshot("impossible token count \(tokens)") }
    guard try reader.read(UInt32.self) == plan.stages.count else { throw .badSnapshot("another number of stages") }
    var stages = plan.stages.map { $0.blueprint.makeStage() }
    for index in stages.indices {
      let count = Int(try reader.read(UInt32.self))
      guard count <= reader.remaining / 8 else { throw .badSnapshot("a stage claims \(count) counters") }
      var counters: [Int64] = []
      for _ in 0..<count { counters.append(try reader.read()) }
      try stages[index].restore(counters)
      // A slot takes more than a byte, so this bounds what the claim can make us compute and allocate.
      guard stages[index].usedSlots <= payload else {
        throw .badSnapshot("it claims \(stages[index].usedSlots) slots, more than its bytes hold")
      }
    }
    guard reader.remaining == 0 else { throw .badSnapshot("counters are followed by something else") }
    guard stages.reduce(0, { $0 + $1.count }) <= tokens else { throw .badSnapshot("more tokens held than seen") }
    for (stage, next) in zip(stages, stages.dropFirst()) where plan.slidesExactly && next.count > 0 {
      guard stage.count == stage.capacity else {
        throw .badSnapshot("a stage holds tokens before the one it follows is full")
      }
    }
    return (tokens, stages)
  }

  /// Where the bytes of a layer's slots lie in one block, one range a head and kind, as a section has them.
  ///
  /// - Parameter stages: which use the slots; nil for those that do now
  func slotRanges(of name: SectionName, by stages: [any Stage]? = nil) -> [UnsafeMutableRawBufferPointer] {
    guard let layer = heads.layers.first(where: { $0.layer == name.layer }) else { return [] }
    var ranges: [UnsafeMutableRawBufferPointer] = []
    slots.forEachUsedRange(ofStepBlock: name.block, places: layer.places, by: stages ?? ledger.stages) {
      ranges.append($0)
    }
    return ranges
  }

  /// Where a section of a layer's slots goes.
  ///
  /// - Parameter stages: which used the slots when the section was written
  func slotTargets(of name: SectionName, storedBy stages: [any Stage]) -> SlotTargets {
    SlotTargets(ranges: slotRanges(of: name), lengths: slotRanges(of: name, by: stages).map(\.count))
  }

  /// Takes up a section of a layer, which may be followed by something else; the counters are those of the snapshot, or what was
  /// cut off is left out.
  ///
  /// - Parameter stages: those of the snapshot
  /// - Returns: bytes that were taken.
  func read(
    _ name: SectionName, _ bytes: UnsafeRawBufferPointer, storedBy stages: [any Stage]
  ) throws(KVCacheError) -> Int {
    guard let layer = heads.layers.first(where: { $0.layer == name.layer }) else {
      throw .badSnapshot("\(name) is not in this cache")
    }
    if name.state == SectionName.slots {
      let targets = slotTargets(of: name, storedBy: stages)
      let front = bytes.count > targets.bytes ? UnsafeRawBufferPointer(rebasing: bytes[..<targets.bytes]) : bytes
      try targets.fill(from: front, name)
      return targets.bytes
    } else {
      var reader = SectionReader(bytes)
      guard let state = states.first(where: { $0.isSaved && $0.name == name.state }) else {
        throw .badSnapshot("\(name) is not in this cache")
      }
      try state.read(layer.places, of: self, from: &reader)
      return reader.offset
    }
  }
}

/// Where the bytes of a section of slots go: of each piece the start, as much as the cache has slots for.
struct SlotTargets {
  fileprivate let ranges: [UnsafeMutableRawBufferPointer]
  /// Bytes of the pieces in the section.
  fileprivate let lengths: [Int]
  /// Bytes of the section.
  var bytes: Int { lengths.reduce(0, +) }

  func fill(from bytes: UnsafeRawBufferPointer, _ name: SectionName) throws(KVCacheError) {
    let expected = self.bytes
    guard expected == bytes.count else {
      throw .badSnapshot("\(name) has \(bytes.count) bytes instead of \(expected)")
    }
    var reader = SectionReader(bytes)
    for (range, length) in zip(ranges, lengths) {
      let stored = try reader.take(length)
      range.copyMemory(from: UnsafeRawBufferPointer(rebasing: stored[..<range.count]))
    }
  }
}

extension SlotStore {
  /// One past the highest slot used in a block of a step; -1 in a packed block, all of which is.
  func usedSlots(ofStepBlock block: Int, by stages: [any Stage]) -> Int {
    guard let (storage, index) = storage(ofStepBlock: block) else { return 0 }
    guard index >= 0 else { return -1 }
    return storages[storage].used(usedSlots(ofStorage: storage, by: stages), ofBlock: index)
  }

  /// The storage of a block of a step and the block's number there, -1 for a packed block.
  private func storage(ofStepBlock block: Int) -> (storage: Int, block: Int)? {
    var rest = block
    for (index, storage) in storages.enumerated() {
      if storage.packed != nil {
        if rest == 0 { return (index, -1) }
        rest -= 1
      }
      if rest < storage.blockCount { return (index, rest) }
      rest -= storage.blockCount
    }
    return nil
  }

  /// Calls `body` with the used bytes of some heads in a block of a step.
  func forEachUsedRange(
    ofStepBlock block: Int, places: Range<Int>, by stages: [any Stage], _ body: (UnsafeMutableRawBufferPointer) -> Void
  ) {
    guard let (storage, index) = storage(ofStepBlock: block) else { return }
    if index < 0 {
      if let packed = storages[storage].packed { body(packed.contents(places)) }
      return
    }
    let used = storages[storage].used(usedSlots(ofStorage: storage, by: stages), ofBlock: index)
    for place in places { storages[storage].forEachUsedRange(used, head: place, block: index, body) }
  }
}
