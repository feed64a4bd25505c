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
  fileprivate private(set) var chosen: Buffer<Int64>?
  /// Slots of a head that chooses.
  fileprivate private(set) var slots: Int
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
    for move in group.ledger.step.moves {
      let token =
        switch move.source {
        case .chunk(let token): first + Int64(token)
        case .slot(let stage, let slot, _): shared[stage][slot]
        }
      guard let slot = move.slot else { continue }
      let missing = slot + 1 - shared[move.stage].count
      if missing > 0 { shared[move.stage] += repeatElement(Self.empty, count: missing) }
      shared[move.stage][slot] = token
    }
  }

  override func didChoose(_ kept: [[Int]]) {
    packed = kept.enumerated().map { place, slots in
      let held = (packed.isEmpty ? [] : packed[place]) + shared[0]
      return slots.map { held[$0] }
    }
    shared[0].removeAll()
  }

  override func didTakePrompt(_ kept: [[Int]]) { packed = kept.map { $0.map { Int64($0) } } }

  /// Nobody knows any more which tokens slots hold.
  override func didRollBack(_ group: HeadGroup) { group.remove(TokenRecord.self) }

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

  override var roles: Roles { record?.chosen == nil ? [] : .watchesSlots }

  override func prepare(_ group: HeadGroup, _ step: GroupReplay, threads: Int) {
    record = group.state(TokenRecord.self)
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
  /// Has the cache note which tokens its slots hold from now on, for `heldTokens(layer:head:)`.
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
