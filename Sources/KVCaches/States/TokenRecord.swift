import Kernels

/// Which token of the stream each slot of a group holds, noted where slots are written.
///
/// A group whose heads do not decide holds the same tokens in every head: one list follows from the step's moves. Where
/// heads decide each notes its own when a slot is filled.
final class TokenRecord: StageState {
  private static let empty: Int64 = -1

  /// Places in the stream of the tokens that all heads hold, `[stage][slot]`.
  private var shared: [[Int64]]
  /// Those of the tokens that heads choose, `[place, slot]`.
  private(set) var chosen: Buffer<Int64>?
  /// Slots of a head that chooses.
  fileprivate private(set) var slots: Int
  /// What the newest steps overwrote, where an undo log is kept; that log owns it.
  fileprivate private(set) weak var undo: TokenUndo?
  /// Those of the tokens that heads have kept of a prompt, `[place][slot]`; empty where there was no choice.
  private var packed: [[Int64]] = []

  init(of group: HeadGroup) {
    let site = group.site
    shared = Array(repeating: [], count: group.ledger.stages.count)
    let decides = group.plan.states.contains(where: \.decidesByHead)
    slots = decides ? site.boundedSlots : 0
    chosen = decides ? Buffer(count: site.count * site.boundedSlots) : nil
    super.init(site)
    reset()
  }

  override var name: String { "tokens" }
  override var isSaved: Bool { false }

  override func reset() {
    chosen?.elements.update(repeating: Self.empty)
    packed = []
    for stage in shared.indices { shared[stage].removeAll(keepingCapacity: true) }
  }

  override func makeUndo(depth: Int) -> StateUndo? {
    let undo = TokenUndo(self, depth: depth, writesPerToken: shared.count)
    self.undo = undo
    return undo
  }

  override func makeReplay(reusing old: LayerReplay?) -> LayerReplay? {
    guard let old = old as? TokenReplay else { return TokenReplay() }
    return old
  }

  /// Makes room for slots that bounded stages have for a time.
  private func makeRoom(slots count: Int) {
    guard let chosen, count > slots else { return }
    let larger = Buffer<Int64>(count: site.count * count)
    larger.elements.update(repeating: Self.empty)
    for place in 0..<site.count {
      (larger.pointer + place * count).update(from: chosen.pointer + place * slots, count: slots)
    }
    (self.chosen, slots) = (larger, count)
  }

  override func didMove(_ moved: [[Int]]) {
    guard let chosen else { return }
    undo?.noteChange()
    for (place, sources) in moved.enumerated() {
      let held = Array(chosen.elements[place * slots..<(place + 1) * slots])
      chosen.elements[place * slots..<(place + 1) * slots].update(repeating: Self.empty)
      for (slot, source) in sources.enumerated() { chosen.pointer[place * slots + slot] = held[source] }
    }
  }

  /// Carries out the moves of a step.
  override func begin(tokens: Int, of group: HeadGroup) {
    if chosen != nil { makeRoom(slots: group.slots.boundedSlots) }
    let first = group.ledger.tokenCount - Int64(tokens)
    let undo = undo
    // The moves of one token end with its own.
    var cause = first
    for move in group.ledger.step.moves {
      let token =
        switch move.source {
        case .chunk(let token): first + Int64(token)
        case .slot(let stage, let slot, _): shared[stage][slot]
        }
      if let slot = move.slot {
        let missing = slot + 1 - shared[move.stage].count
        if missing > 0 { shared[move.stage] += repeatElement(Self.empty, count: missing) }
        undo?.note(shared[move.stage][slot], stage: move.stage, slot: slot, cause: cause)
        shared[move.stage][slot] = token
      }
      if case .chunk = move.source { cause += 1 }
    }
  }

  override func didChoose(_ kept: [[Int]]) {
    undo?.noteChange()
    packed = kept.enumerated().map { place, slots in
      let held = (packed.isEmpty ? [] : packed[place]) + shared[0]
      return slots.map { held[$0] }
    }
    shared[0].removeAll()
  }

  override func didTakePrompt(_ kept: [[Int]]) { packed = kept.map { $0.map { Int64($0) } } }

  /// Without an undo log from the start nobody knows any more which tokens slots hold.
  override func didRollBack(_ group: HeadGroup) {
    if undo == nil { group.remove(TokenRecord.self) }
  }

  /// All that is noted, as a value.
  struct Content {
    fileprivate(set) var shared: [[Int64]]
    fileprivate(set) var chosen: [Int64]
    fileprivate(set) var slots: Int
    fileprivate(set) var packed: [[Int64]]

    var bytes: Int { 8 * (chosen.count + shared.reduce(0) { $0 + $1.count } + packed.reduce(0) { $0 + $1.count }) }
  }

  var content: Content {
    get { Content(shared: shared, chosen: chosen.map { Array($0.elements) } ?? [], slots: slots, packed: packed) }
    set {
      (shared, packed) = (newValue.shared, newValue.packed)
      guard let chosen else { return }
      chosen.elements.update(repeating: Self.empty)
      for place in 0..<site.count {
        for slot in 0..<min(slots, newValue.slots) {
          chosen.pointer[place * slots + slot] = newValue.chosen[place * newValue.slots + slot]
        }
      }
    }
  }

  /// Notes the token of a slot of all heads.
  func put(_ token: Int64, stage: Int, slot: Int) { shared[stage][slot] = token }

  /// Notes the token of a slot of one head that chooses.
  func put(_ token: Int64, place: Int, slot: Int) { chosen?.pointer[place * slots + slot] = token }

  /// The tokens of one head, in ascending order.
  func tokens(place: Int) -> [Int] {
    var tokens = shared.joined().filter { $0 != Self.empty }
    if !packed.isEmpty { tokens += packed[place] }
    if let chosen { tokens += chosen.elements[place * slots..<(place + 1) * slots].filter { $0 != Self.empty } }
    return tokens.map { Int($0) }.sorted()
  }
}

/// Notes the tokens of slots that heads decide to fill.
private final class TokenReplay: LayerReplay {
  private var record: TokenRecord?
  private var undo: TokenUndo?

  override var roles: Roles { record?.chosen == nil ? [] : .watchesSlots }

  override func prepare(_ group: HeadGroup, _ step: GroupReplay, threads: Int) {
    record = group.state(TokenRecord.self)
    undo = record?.undo
  }

  override func willWrite(
    _ target: SlotPlace, of slots: SlotStorage, write: Int, place: Int, row: UnsafeMutablePointer<Float>,
    _ kernels: InstructionSet
  ) {
    guard let undo, let record, let chosen = record.chosen else { return }
    undo.note(chosen.pointer[place * record.slots + target.slot], slot: target.slot, write: write, place: place)
  }

  override func didWrite(
    _ target: SlotPlace, of slots: SlotStorage, origin: Int, layer: Int, place: Int, row: UnsafeMutablePointer<Float>,
    _ step: GroupReplay, _ kernels: InstructionSet
  ) {
    guard let record, let tokens = record.chosen.map({ $0.pointer + place * record.slots }) else { return }
    tokens[target.slot] = origin >= 0 ? step.firstPosition + Int64(origin) : tokens[-2 - origin]
  }
}

extension KVCache {
  /// Has the cache note which tokens its slots hold from now on, for `heldTokens(layer:head:)` and `tokensByStage()`.
  ///
  /// Before an undo log is kept, or the record ends where tokens are taken back.
  ///
  /// Takes 8 bytes a slot, in every head of a cache that scores its tokens; without it nothing is noted.
  ///
  /// - Precondition: no token has come yet.
  package func recordTokens() {
    precondition(tokenCount == 0, "tokens are recorded from the first one on")
    for group in groups { group.add(TokenRecord(of: group)) }
  }

  /// The tokens that one head of one layer holds, by their places in the stream, ascending.
  ///
  /// - Precondition: `recordTokens` was called, and no snapshot was restored since: none says which tokens it holds.
  package func heldTokens(layer: Int, head: Int) -> [Int] {
    precondition(attention.indices.contains(layer), "no such layer")
    precondition((0..<attention[layer].keyValueHeads).contains(head), "no such head")
    for group in groups where group.heads.layers.contains(where: { $0.layer == layer }) {
      let place = group.heads.place(layer: layer, head: head)
      guard place >= 0 else { continue }
      guard let record = group.state(TokenRecord.self) else {
        preconditionFailure("nobody asked for tokens to be recorded")
      }
      return record.tokens(place: place)
    }
    return []
  }
}
