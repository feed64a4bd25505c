import Kernels

/// What the newest steps of a group overwrote.
///
/// Before a step writes a slot, the key and value in it are copied into a *spill* slot; counters, and what states change, are
/// copied when the step begins. Steps are taken back newest first, and with them changes between steps, such as a prompt's
/// cut. Of a step in which counters decided everything the newest tokens can be taken back alone: their writes are the last
/// ones, and the counters of the others are counted anew. The spill is a ring with room for what `depth` tokens can
/// overwrite, allocated once.
final class UndoLog: StageState {
  /// Something that can be taken back.
  private enum Entry {
    /// A step of so many tokens, the stages as they stood before it, and the first of its spill slots.
    case step(tokens: Int, stages: [any Stage], firstSpill: Int)
    case change(GroupChange)

    var tokens: Int {
      if case .step(let tokens, _, _) = self { tokens } else { 0 }
    }
  }

  /// The most tokens that can be taken back.
  let depth: Int
  /// Whether a step of one token is not noted, so that nothing from before it can be taken back.
  private let ignoresSingleTokens: Bool
  /// Oldest first; together they have at most `depth` tokens.
  private var entries: [Entry] = []
  /// The slots that a token can overwrite in each head: one a stage.
  private let writesPerToken: Int
  private let spill: StageStorage
  private let block: StageStorage.Block
  /// Where each spilled key and value lay, `[place, spill slot]`; none where nothing was spilled.
  private let places: Buffer<SlotPlace>
  private let undos: [StateUndo]
  private var nextSpill = 0
  /// The first spill slot of the step under way, and how many it may fill: threads read these, and count no references.
  private var (firstSpill, stepWrites) = (0, 0)
  /// Whether the step under way is noted; one of more tokens than the log is deep is not.
  fileprivate private(set) var isRecording = false

  /// An empty log.
  init(depth: Int, ignoresSingleTokens: Bool, of group: HeadGroup, _ site: StateSite) {
    (self.depth, self.ignoresSingleTokens) = (depth, ignoresSingleTokens)
    writesPerToken = group.ledger.stages.count
    spill = StageStorage(
      type: site.slotType.elementType, heads: site.count, headDim: site.headDim, capacity: depth * writesPerToken)
    block = spill.block(0)
    places = Buffer(count: site.count * depth * writesPerToken)
    undos = group.states.compactMap { $0.makeUndo(depth: depth) }
    super.init(site)
    entries.reserveCapacity(depth)
  }

  override var name: String { "undo" }
  override var isSaved: Bool { false }

  override var bytes: Int {
    let changes = entries.reduce(0) { bytes, entry in
      if case .change(let change) = entry { bytes + change.bytes } else { bytes }
    }
    return undos.reduce(spill.bytes + places.count * MemoryLayout<SlotPlace>.stride + changes) { $0 + $1.bytes }
  }

  /// Tokens that can be taken back.
  var tokens: Int { entries.reduce(0) { $0 + $1.tokens } }

  private var spillSlots: Int { depth * writesPerToken }

  override func reset() {
    entries.removeAll(keepingCapacity: true)
    isRecording = false
    for undo in undos { undo.clear() }
  }

  override func renewed(for group: HeadGroup) -> StageState? {
    UndoLog(depth: depth, ignoresSingleTokens: ignoresSingleTokens, of: group, site)
  }

  override func makeReplay(reusing old: LayerReplay?) -> LayerReplay? {
    guard let old = old as? UndoReplay else { return UndoReplay() }
    return old
  }

  /// Notes how the group stands before a step, and forgets what is too old then.
  override func willBegin(tokens: Int, of group: HeadGroup) {
    isRecording = tokens <= depth && !(ignoresSingleTokens && tokens == 1)
    guard isRecording else { return reset() }
    if undos.contains(where: { $0.startsAnew(group) }) {
      reset()
      isRecording = true
    }
    var left = self.tokens
    while let oldest = entries.first, left + tokens > depth || oldest.tokens == 0 {
      left -= entries.removeFirst().tokens
    }
    entries.append(.step(tokens: tokens, stages: group.ledger.stages, firstSpill: nextSpill))
    (firstSpill, stepWrites) = (nextSpill, tokens * writesPerToken)
    for write in 0..<stepWrites {
      for place in 0..<site.count { places.pointer[place * spillSlots + spillSlot(write, from: nextSpill)] = .none }
    }
    nextSpill = spillSlot(stepWrites, from: nextSpill)
    for undo in undos { undo.begin(tokens: tokens, first: group.ledger.tokenCount) }
  }

  override func note(_ change: GroupChange) { entries.append(.change(change)) }

  private func spillSlot(_ write: Int, from first: Int) -> Int { (first + write) % spillSlots }

  private func spilled(place: Int) -> SlotStorage {
    block.slots(head: place, type: spill.type, headDim: spill.headDim)
  }

  /// Copies a slot that is about to be written.
  ///
  /// - Parameters:
  ///   - write: which of the step's writes it is in this head
  ///   - row: `headDim` floats of scratch
  func spill(
    _ slots: SlotStorage, _ target: SlotPlace, write: Int, place: Int, row: UnsafeMutablePointer<Float>,
    _ kernels: InstructionSet
  ) {
    guard isRecording else { return }
    assert(write < stepWrites, "a stage is written once a token")
    let index = spillSlot(write, from: firstSpill)
    places.pointer[place * spillSlots + index] = target
    Self.copy(target.slot, of: slots, to: index, of: spilled(place: place), row, kernels)
  }

  /// Keys and values of every type survive the way through floats bit for bit.
  private static func copy(
    _ slot: Int, of source: SlotStorage, to place: Int, of target: SlotStorage, _ row: UnsafeMutablePointer<Float>,
    _ kernels: InstructionSet
  ) {
    kernels.readKey(slot, of: source, to: row)
    kernels.writeKey(row, to: place, of: target)
    kernels.readValue(slot, of: source, to: row)
    kernels.writeValue(row, to: place, of: target)
  }

  /// Whether some of the newest step's tokens can be taken back and the others stay.
  func splitsNewestStep(_ group: HeadGroup) -> Bool {
    guard let tokens = entries.last(where: { $0.tokens > 0 })?.tokens else { return false }
    return !group.plan.states.contains(where: \.decidesByHead) && undos.allSatisfy { $0.splits(tokens: tokens) }
  }

  /// Undoes the newest step, and the changes made since.
  ///
  /// - Parameter limit: the most tokens, of a step that can be split
  /// - Returns: the tokens taken back; 0 where there is no step.
  func undoStep(_ group: HeadGroup, limit: Int = .max, _ kernels: InstructionSet) -> Int {
    while let entry = entries.popLast() {
      switch entry {
      case .change(let change): change.undo(group)
      case .step(let tokens, let stages, let first):
        let kept = max(0, tokens - limit)
        let position = group.ledger.tokenCount - Int64(tokens)
        group.ledger.set(tokenCount: position, stages: stages)
        var keptWrites = 0
        if kept > 0 {
          // The tokens that stay went the same ways as they would have without the others.
          group.ledger.plan(chunk: kept)
          keptWrites = group.ledger.step.moves.count
          entries.append(.step(tokens: kept, stages: stages, firstSpill: first))
        }
        putBack(keptWrites..<tokens * writesPerToken, from: first, group, kernels)
        for undo in undos { undo.undo(tokens: tokens - kept, first: position + Int64(kept)) }
        nextSpill = spillSlot(kept * writesPerToken, from: first)
        return tokens - kept
      }
    }
    return 0
  }

  /// Puts some writes of a step back, and forgets them.
  private func putBack(_ writes: Range<Int>, from first: Int, _ group: HeadGroup, _ kernels: InstructionSet) {
    let row = Buffer<Float>(count: site.headDim)
    group.slots.forEachBlock { index, block in
      for place in 0..<site.count {
        // A slot that was written twice first held what was spilled first.
        for write in writes.reversed() {
          let spillSlot = spillSlot(write, from: first)
          let target = places.pointer[place * spillSlots + spillSlot]
          guard target.block == index else { continue }
          let slots = block.slots(head: place, type: spill.type, headDim: site.headDim)
          Self.copy(spillSlot, of: spilled(place: place), to: target.slot, of: slots, row.pointer, kernels)
          places.pointer[place * spillSlots + spillSlot] = .none
        }
      }
    }
  }
}

/// Has slots spilled before a step writes them.
private final class UndoReplay: LayerReplay {
  private var log: UndoLog?

  override var roles: Roles { log == nil ? [] : .watchesSlots }

  override func prepare(_ group: HeadGroup, _ step: GroupReplay, threads: Int) {
    log = group.state(UndoLog.self)
    if log?.isRecording == false { log = nil }
  }

  override func willWrite(
    _ target: SlotPlace, of slots: SlotStorage, write: Int, place: Int, row: UnsafeMutablePointer<Float>,
    _ kernels: InstructionSet
  ) {
    log?.spill(slots, target, write: write, place: place, row: row, kernels)
  }
}
