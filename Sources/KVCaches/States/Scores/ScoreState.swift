import Kernels

/// One number a slot: what its token was worth.
struct ScoreSpecification: StateSpecification {
  let rule: ScoreRule
  /// Whether the last stage holds all of a prompt until that has ended.
  var opensForPrompt = false

  var decidesByHead: Bool { true }
  var partitions: Partitions { rule.isHomogeneous ? .byRequest : [.byHead, .byRequest] }

  func problem(with stages: [any StageSpecification]) -> String? {
    stages.first { $0.capacity == nil }.map { "cannot score the tokens of '\($0)', which grows without bound" }
  }

  func conflict(with other: any StateSpecification) -> String { "scores its tokens in more than one way" }

  func bytes(_ site: StateSite, tokens: Int) -> Int { site.count * site.boundedSlots(after: tokens) * 8 }
  func makeState(_ site: StateSite) -> StageState { ScoreState(rule, site) }
}

/// The scores of all slots of a group whose heads decide who stays.
///
/// Float64: with decay 1 they are sums of all attention of a stream, which float32 would let drift and then stand still.
final class ScoreState: StageState {
  let rule: ScoreRule
  /// Slots of a head.
  private(set) var slots: Int
  /// `[place, slot]`
  private(set) var scores: Buffer<Double>
  private var lastCut: Int64 = -1

  init(_ rule: ScoreRule, _ site: StateSite) {
    self.rule = rule
    slots = site.boundedSlots
    scores = Buffer(count: site.count * slots)
    super.init(site)
  }

  override var name: String { "scores" }
  override var bytes: Int { scores.count * 8 }

  override func reset() {
    lastCut = -1
    if slots == site.boundedSlots {
      scores.elements.update(repeating: 0)
    } else {
      take(Buffer(count: site.count * site.boundedSlots))
    }
  }

  /// Puts other scores, of as many slots as there are, in the place of all.
  func take(_ scores: Buffer<Double>) {
    self.scores = scores
    // Where no head is stored there is nothing to count.
    if site.count > 0 { slots = scores.count / site.count }
  }

  /// Follows the slots of bounded stages, which may be more for a time.
  private func fit(_ group: HeadGroup) {
    let count = group.slots.boundedSlots
    guard count != slots else { return }
    let others = Buffer<Double>(count: site.count * count)
    for place in 0..<site.count {
      (others.pointer + place * count).update(from: scores.pointer + place * slots, count: min(count, slots))
    }
    take(others)
  }

  override func begin(tokens: Int, of group: HeadGroup) { fit(group) }
  override func didRollBack(_ group: HeadGroup) { fit(group) }

  override func endPrompt(of group: HeadGroup, team: WorkerTeam, kernels: InstructionSet) {
    if cutPrompt(of: group, team: team, kernels: kernels) { lastCut = group.ledger.tokenCount }
  }

  override func makeReplay(reusing old: LayerReplay?) -> LayerReplay? {
    guard let old = old as? ScoreReplay, old.fits(site) else { return ScoreReplay(site) }
    return old
  }

  override func makeUndo(depth: Int) -> StateUndo? { ScoreUndo(self, depth: depth) }

  override var lastChange: Int64 { lastCut }

  override func checkCounters(_ stages: [any Stage], tokens: Int64, payload: Int) throws(KVCacheError) {
    guard let stage = stages.last as? ScoredStage, stage.isOpen else { return }
    let held = stages.reduce(0) { $0 + $1.count }
    let bytes = StageStorage.headBytes(type: site.slotType.elementType, headDim: site.headDim, slots: held)
    guard Int64(held) == tokens, bytes <= payload / max(1, site.count) else {
      throw .badSnapshot("impossible count of a prompt's tokens")
    }
  }

  override func didRestoreCounters(_ group: HeadGroup) {
    fit(group)
    // Nobody knows when a prompt was cut; before now.
    if Self.opensForPrompt(group) { lastCut = group.ledger.tokenCount - 1 }
  }

  override func needsAllLayers(of group: HeadGroup) -> Bool { Self.opensForPrompt(group) }

  private static func opensForPrompt(_ group: HeadGroup) -> Bool {
    group.plan.states.contains { ($0 as? ScoreSpecification)?.opensForPrompt == true }
  }

  override func write(_ places: Range<Int>, of group: HeadGroup, to writer: inout SectionWriter) {
    let used = group.slots.usedSlots(ofStorage: 0, by: group.ledger.stages)
    for place in places { writer.write(scores.pointer + place * slots, count: used) }
  }

  override func read(
    _ places: Range<Int>, of group: HeadGroup, from reader: inout SectionReader
  ) throws(KVCacheError) {
    let used = group.slots.usedSlots(ofStorage: 0, by: group.ledger.stages)
    for place in places { try reader.read(into: scores.pointer + place * slots, count: used) }
  }
}

/// All scores as they were before each of the newest steps.
private final class ScoreUndo: StateUndo {
  private let state: ScoreState
  /// A ring, `[step][place, slot]`; as many slots as there were then.
  private var copies: [Buffer<Double>]
  /// What a copy holds while no more slots are in use than the bounded ones.
  private let boundedCount: Int
  private var next = 0

  init(_ state: ScoreState, depth: Int) {
    self.state = state
    let count = state.site.count * state.site.boundedSlots
    boundedCount = count
    copies = (0..<depth).map { _ in Buffer(count: count) }
  }

  override var bytes: Int { copies.reduce(0) { $0 + $1.count * 8 } }

  private func resize(_ index: Int, count: Int) {
    if copies[index].count != count { copies[index] = Buffer(count: count) }
  }

  /// Allocates where there are other slots than in the step whose copy this takes the place of.
  override func begin(tokens: Int, first: Int64) {
    resize(next, count: state.scores.count)
    copies[next].pointer.update(from: state.scores.pointer, count: state.scores.count)
    next = (next + 1) % copies.count
  }

  override func undo(tokens: Int, first: Int64) {
    next = (next + copies.count - 1) % copies.count
    if copies[next].count == state.scores.count {
      state.scores.pointer.update(from: copies[next].pointer, count: copies[next].count)
    } else {
      state.take(copies[next])
      copies[next] = Buffer(count: boundedCount)
    }
    resize(next, count: boundedCount)
  }

  override func clear() {
    for index in copies.indices { resize(index, count: boundedCount) }
  }
}
