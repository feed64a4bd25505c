import Kernels

/// Heads of a model that follow the same stages: their counters, their slots, and what mechanisms keep of them.
final class HeadGroup {
  let plan: KVCache.Plan
  let heads: StoredHeads
  /// What attention is in the group's layers, alike in heads, head size, positions and native window.
  let attention: AttentionLayer
  let slotType: KVCache.SlotType
  var ledger: StageLedger
  var slots: SlotStore
  private(set) var states: [StageState] = []
  let site: StateSite

  /// An empty group.
  ///
  /// - Throws: `KVCacheError` where the plan or the slot type does not fit the heads.
  init(_ part: GroupPart, slotType: KVCache.SlotType, slots share: SlotShare = .all) throws(KVCacheError) {
    (plan, heads, attention, self.slotType) = (part.plan, part.heads, part.attention, slotType)
    site = part.site(slotType)
    try Self.check(part, slotType: slotType)
    slots = SlotStore(
      plan.stages, type: slotType.elementType, heads: heads.count, headDim: attention.headDim, share: share)
    ledger = StageLedger(plan, places: slots.places, positions: attention.positions)
    states = plan.states.map { $0.makeState(site) }
  }

  static func check(_ part: GroupPart, slotType: KVCache.SlotType) throws(KVCacheError) {
    // Where the start of the stream stands is known.
    let keepsPlaces = part.plan.stages.contains {
      $0.blueprint.distance == .original && $0.blueprint.streamStart == 0
    }
    if case .linearBias = part.attention.positions, keepsPlaces {
      let advice = part.plan.stages.contains { $0.blueprint.standsAlone } ? "" : "; write positions=clipped"
      throw .badSpecification(
        part.plan.description, "a model with ALiBi needs to know which token stands where" + advice)
    }
    for state in part.plan.states {
      if let problem = state.problem(for: part.attention) { throw .badSpecification(part.plan.description, problem) }
    }
    // A native window is not the plan's to change.
    let isRuled = part.attention.gates != nil && part.attention.window == nil
    guard !isRuled || part.plan.states.contains(where: \.usesGates) else {
      throw .badSpecification(
        part.plan.description, "this model was trained to read a compressive memory and needs the cache 'infini'")
    }
    try part.check(slotType)
  }

  /// The state of a mechanism, for that mechanism.
  func state<State: StageState>(_ type: State.Type) -> State? {
    for state in states {
      if let state = state as? State { return state }
    }
    return nil
  }

  /// Adds a state that nobody asked for in the plan.
  func add(_ state: StageState) { states.append(state) }

  /// Removes the states of a mechanism.
  func remove<State: StageState>(_ type: State.Type) { states.removeAll { $0 is State } }

  /// Bytes of slots and of what is kept beside them.
  var bytes: Int { states.reduce(slots.bytes) { $0 + $1.bytes } }

  /// The same, of slots only what has been written.
  var takenBytes: Int { bytes - slots.bytes + slots.takenBytes(ledger.stages) }

  /// Forgets everything; bounded stages keep their memory.
  func reset() {
    slots.reset(ledger.stages)
    ledger.reset(plan)
    for state in states { state.reset() }
  }

  /// Of so many tokens, how many the next chunk may have.
  func admissible(_ wanted: Int) -> Int {
    var wanted = ledger.admissible(wanted)
    for state in states { wanted = state.admissible(wanted, of: self) }
    return wanted
  }

  /// Decides on a chunk and makes room for it.
  func begin(tokens: Int) {
    for state in states { state.willBegin(tokens: tokens, of: self) }
    ledger.plan(chunk: tokens)
    slots.reserve(ledger.stages)
    for state in states { state.begin(tokens: tokens, of: self) }
  }

  /// Tells all states of a change between two steps that is about to be made.
  func note(_ change: GroupChange) {
    for state in states { state.note(change) }
  }

  /// Takes up counters from a snapshot or from before a step, and makes room for what they hold.
  func set(tokenCount: Int64, stages: [any Stage]) {
    ledger.set(tokenCount: tokenCount, stages: stages)
    slots.reserve(stages)
  }
}
