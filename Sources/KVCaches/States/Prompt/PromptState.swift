import Kernels

/// What a cache keeps of a prompt while it may still choose among its tokens: the queries that will vote, and where the
/// tokens go that were chosen.
final class PromptState: StageState {
  let prompt: Prompt
  /// The newest tokens' queries; nil where none vote, or none will any more.
  private(set) var observation: ObservationWindow?
  private var lastCut: Int64 = -1

  init(_ prompt: Prompt, _ site: StateSite) {
    self.prompt = prompt
    super.init(site)
    observation = makeObservation()
  }

  private func makeObservation() -> ObservationWindow? {
    prompt.voters == 0 ? nil : ObservationWindow(size: prompt.voters, site)
  }

  override var name: String { "prompt" }
  override var bytes: Int { observation?.bytes ?? 0 }

  override func reset() {
    lastCut = -1
    if let observation { observation.reset() } else { observation = makeObservation() }
  }

  override func makeReplay(reusing old: LayerReplay?) -> LayerReplay? {
    guard let old = old as? PromptReplay else { return PromptReplay() }
    return old
  }

  override func makeUndo(depth: Int) -> StateUndo? {
    prompt.voters == 0 ? nil : ObservationUndo(self, depth: depth)
  }

  /// The counters of the stage.
  static func stage(of group: HeadGroup) -> PromptStage? { group.ledger.stages[0] as? PromptStage }

  // The end of a prompt.

  /// Ends the prompt where something of it was given up; one that is shorter than what may be kept leaves the choice to
  /// a later one, unless what follows is compressed anyway.
  override func endPrompt(of group: HeadGroup, team: WorkerTeam, kernels: InstructionSet) {
    guard let stage = Self.stage(of: group), !stage.isFinished else { return }
    guard let kept = choose(group, team: team, kernels: kernels) else {
      if prompt.recompression != nil { end(stage, of: group) }
      return
    }
    keep(kept, of: group, endsPrompt: true, team: team, kernels: kernels)
  }

  override func admissible(_ wanted: Int, of group: HeadGroup) -> Int {
    guard let recompression = prompt.recompression, let room = roomBeforeCompression(group) else { return wanted }
    return min(wanted, room > 0 ? room : recompression)
  }

  /// Tokens that may come before those behind the packed block are to be compressed; nil where they never are.
  private func roomBeforeCompression(_ group: HeadGroup) -> Int? {
    guard let recompression = prompt.recompression, let stage = Self.stage(of: group), stage.isFinished else {
      return nil
    }
    guard stage.packed.isEmpty else { return recompression - stage.grown }
    guard case .tokens(let size) = prompt.size else { return nil }
    return size + recompression - stage.grown
  }

  /// Notes that compression replaces the choice from now on.
  private func end(_ stage: PromptStage, of group: HeadGroup) {
    group.note(PromptCut(self, of: group))
    var stage = stage
    stage.finish()
    group.ledger.replace(stage: 0, with: stage)
    observation = nil
    lastCut = group.ledger.tokenCount
  }

  /// Compresses what has come since the last time, where that is enough.
  override func settle(_ group: HeadGroup, team: WorkerTeam, kernels: InstructionSet) {
    guard let room = roomBeforeCompression(group), room <= 0 else { return }
    let kept =
      choose(group, team: team, kernels: kernels) ?? heldSlots(group).map { KeptTokens.all($0.count) }
    keep(kept, of: group, endsPrompt: false, team: team, kernels: kernels)
  }

  /// Puts a packed block in the place of all that is held.
  func pack(_ slots: PackedSlots, counts: [Int], of group: HeadGroup, endsPrompt: Bool) {
    guard var stage = Self.stage(of: group) else { return assertionFailure("only a prompt is packed") }
    group.note(PromptCut(self, of: group))
    stage.pack(counts)
    if endsPrompt { stage.finish() }
    group.ledger.replace(stage: 0, with: stage)
    group.slots.replace(stage: 0, with: slots)
    if stage.isFinished { observation = nil }
    lastCut = group.ledger.tokenCount
  }

  /// Takes up a prompt that has ended, of so many tokens, in an empty group.
  func takePrompt(tokens: Int, _ slots: PackedSlots, _ kept: [KeptTokens], of group: HeadGroup) {
    let counts = kept.map(\.slots.count)
    group.set(tokenCount: Int64(tokens), stages: group.ledger.stages)
    pack(slots, counts: counts, of: group, endsPrompt: true)
    for state in group.states { state.didTakePrompt(kept.map(\.slots)) }
  }

  /// How a group stood before its prompt was cut.
  private final class PromptCut: GroupChange {
    private let state: PromptState
    private let storage: StageStorage
    private let stage: any Stage
    private let observation: ObservationWindow?

    init(_ state: PromptState, of group: HeadGroup) {
      self.state = state
      storage = group.slots.storage(ofStage: 0)
      stage = group.ledger.stages[0]
      observation = state.observation
    }

    override var bytes: Int { storage.bytes + (state.observation == nil ? observation?.bytes ?? 0 : 0) }

    override func undo(_ group: HeadGroup) {
      group.ledger.replace(stage: 0, with: stage)
      group.slots.restore(stage: 0, storage)
      state.observation = observation
    }
  }

  // Snapshots.

  override var lastChange: Int64 { lastCut }
  override var isSettled: Bool { observation == nil }

  override func checkCounters(_ stages: [any Stage], tokens: Int64, payload: Int) throws(KVCacheError) {
    guard let stage = stages[0] as? PromptStage else { return }
    let counts = stage.packed
    guard counts.isEmpty || counts.count == site.count else {
      throw .badSnapshot("it holds tokens of \(counts.count) heads")
    }
    let held = Int64(stage.largestPacked) + Int64(stage.grown)
    guard counts.isEmpty ? held == tokens : held <= tokens && counts.allSatisfy({ $0 >= prompt.window }) else {
      throw .badSnapshot("impossible counts of a prompt's tokens")
    }
    let bytes = PackedSlots.bytes(type: site.slotType.elementType, headDim: site.headDim, counts: counts)
    guard bytes <= payload else { throw .badSnapshot("it claims \(bytes) bytes of a prompt, more than it has") }
  }

  override func didRestoreCounters(_ group: HeadGroup) {
    guard let stage = Self.stage(of: group) else { return }
    if stage.isFinished { observation = nil }
    guard !stage.packed.isEmpty else { return }
    // Nobody knows when it was cut; before now.
    lastCut = group.ledger.tokenCount - 1
    group.slots.replace(
      stage: 0,
      with: PackedSlots(
        type: site.slotType.elementType, headDim: site.headDim, counts: stage.packed,
        isCounted: prompt.centers != nil))
    group.slots.reserve(group.ledger.stages)
  }

  override func write(_ places: Range<Int>, of group: HeadGroup, to writer: inout SectionWriter) {
    observation?.forEachUsedRange(places, tokens: group.ledger.tokenCount) { writer.write(UnsafeRawBufferPointer($0)) }
    guard let packed = group.slots.storage(ofStage: 0).packed else { return }
    for place in places {
      if let counts = packed.represented(head: place) { writer.write(UnsafeRawBufferPointer(counts)) }
    }
  }

  override func read(
    _ places: Range<Int>, of group: HeadGroup, from reader: inout SectionReader
  ) throws(KVCacheError) {
    var ranges: [UnsafeMutableRawBufferPointer] = []
    observation?.forEachUsedRange(places, tokens: group.ledger.tokenCount) { ranges.append($0) }
    for range in ranges { try reader.read(into: range) }
    guard let packed = group.slots.storage(ofStage: 0).packed, let stage = Self.stage(of: group) else { return }
    for place in places {
      guard let counts = packed.represented(head: place) else { return }
      try reader.read(into: UnsafeMutableRawBufferPointer(counts))
      var left = group.ledger.tokenCount - Int64(stage.grown)
      for count in counts {
        guard count >= 1, count <= left else { throw .badSnapshot("a slot stands for \(count) tokens") }
        left -= count
      }
    }
  }

  override func needsAllLayers(of group: HeadGroup) -> Bool {
    // A choice that is still to come moves the slots of all layers at once.
    prompt.recompression != nil || Self.stage(of: group)?.isFinished != true
  }

  override func didRestore(_ group: HeadGroup) {
    guard let packed = group.slots.storage(ofStage: 0).packed else { return }
    for place in 0..<site.count { packed.weigh(head: place) }
  }
}
