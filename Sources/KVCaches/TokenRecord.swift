import Kernels

/// Which token of the stream each slot of a cache holds, noted where slots are written.
///
/// A cache that does not score its tokens holds the same ones in every head: one list follows from the step's moves. In a
/// cache that scores them each head notes its own when it fills a slot.
final class TokenRecord {
  private static let empty: Int64 = -1

  /// Places in the stream of the tokens that all heads hold, `[stage][slot]`.
  private var shared: [[Int64]]
  /// Those of the tokens that heads choose by score, `[layer, KV head, slot]`.
  private let chosen: Buffer<Int64>?
  /// Those of the tokens that heads have kept of a prompt, `[layer, KV head][slot]`; empty where there was no vote.
  private var packed: [[Int64]] = []
  private let slots: Int

  /// - Parameter chosenSlots: slots of a head that chooses by score, nil where none does
  init(stages: Int, shape: KVCache.Shape, chosenSlots: Int?) {
    shared = Array(repeating: [], count: stages)
    slots = chosenSlots ?? 0
    chosen = chosenSlots.map { Buffer(count: shape.layers * shape.keyValueHeads * $0) }
    reset()
  }

  func reset() {
    chosen?.elements.update(repeating: Self.empty)
    packed = []
    for stage in shared.indices { shared[stage].removeAll(keepingCapacity: true) }
  }

  /// The slots of all heads that choose by score, `[layer, KV head, slot]`; nil where none does.
  var chosenTokens: UnsafeMutablePointer<Int64>? { chosen?.pointer }

  /// Carries out the moves of a step whose first token has the place `first` in the stream.
  func carryOut(_ step: StepPlan, first: Int64) {
    for move in step.moves {
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

  /// Keeps some of the tokens that each head of a prompt's stage holds, by their slots, counted from the oldest;
  /// `[layer, KV head][kept]`.
  func keep(_ kept: [[Int]]) {
    packed = kept.enumerated().map { head, slots in
      let held = (packed.isEmpty ? [] : packed[head]) + shared[0]
      return slots.map { held[$0] }
    }
    shared[0].removeAll()
  }

  /// Keeps some of the first tokens of the stream, `[layer, KV head][kept]`; none was noted before.
  func start(with kept: [[Int]]) { packed = kept.map { $0.map { Int64($0) } } }

  /// The tokens of one KV head, which counts through all layers, in ascending order.
  func tokens(head: Int) -> [Int] {
    var tokens = shared.joined().filter { $0 != Self.empty }
    if !packed.isEmpty { tokens += packed[head] }
    if let chosen { tokens += chosen.elements[head * slots..<(head + 1) * slots].filter { $0 != Self.empty } }
    return tokens.map { Int($0) }.sorted()
  }
}

extension KVCache {
  /// The tokens that one head of one layer holds, by their places in the stream, ascending.
  ///
  /// - Precondition: `recordTokens` was called, and no snapshot was restored since: none says which tokens it holds.
  package func heldTokens(layer: Int, head: Int) -> [Int] {
    precondition((0..<shape.layers).contains(layer) && (0..<shape.keyValueHeads).contains(head), "no such head")
    guard heads.place(layer: layer, head: head) >= 0 else {
      return companions.first { $0.heads.place(layer: layer, head: head) >= 0 }?.heldTokens(layer: layer, head: head)
        ?? []
    }
    guard let tokenRecord else { preconditionFailure("nobody asked for tokens to be recorded") }
    return tokenRecord.tokens(head: layer * shape.keyValueHeads + head)
  }
}
