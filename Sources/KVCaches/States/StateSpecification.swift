/// What a stage asks to be kept beside slots: the description of a `StageState`, known before anything is allocated.
///
/// Stages that ask for equal states share one.
protocol StateSpecification: Sendable, Hashable {
  /// Whether each head decides for itself which tokens stay, so that a step plans placements instead of moves.
  var decidesByHead: Bool { get }

  /// Whether the state reads what heads have learned to mix it in by; a model with such gates needs it.
  var usesGates: Bool { get }

  /// The ways in which a cache with this state may be divided without changing what it computes.
  var partitions: Partitions { get }

  /// Why no cache of these stages can have this state, nil where one can.
  func problem(with stages: [any StageSpecification]) -> String?

  /// Why heads of such layers cannot have this state, nil where they can.
  func problem(for attention: AttentionLayer) -> String?

  /// Why a cache cannot have both this and another state of its kind.
  func conflict(with other: any StateSpecification) -> String

  /// The bytes of the state after `tokens` tokens.
  func bytes(_ site: StateSite, tokens: Int) -> Int

  /// An empty state; its bytes are those of `bytes(_:tokens:)`.
  func makeState(_ site: StateSite) -> StageState
}

extension StateSpecification {
  var decidesByHead: Bool { false }
  var usesGates: Bool { false }
  var partitions: Partitions { .all }
  func problem(with stages: [any StageSpecification]) -> String? { nil }
  func problem(for attention: AttentionLayer) -> String? { nil }

  func conflict(with other: any StateSpecification) -> String { "asks for two states where there can be one" }

  /// Whether the other is a different one of the same kind.
  func contradicts(_ other: any StateSpecification) -> Bool {
    guard let other = other as? Self else { return false }
    return other != self
  }

  func equals(_ other: any StateSpecification) -> Bool { other as? Self == self }
}

/// Ways in which the work for a cache may be divided over processes.
package struct Partitions: OptionSet, Sendable, Hashable {
  package let rawValue: Int
  package init(rawValue: Int) { self.rawValue = rawValue }

  /// KV heads apart.
  package static let byHead = Partitions(rawValue: 1)
  /// The slots of one sequence apart, whose partials are merged.
  package static let bySequence = Partitions(rawValue: 2)
  /// Sequences apart, which always can be.
  package static let byRequest = Partitions(rawValue: 4)
  package static let all: Partitions = [.byHead, .bySequence, .byRequest]
}

/// The heads for which a state is kept.
struct StateSite: Sendable {
  let heads: StoredHeads
  /// Query heads that share a KV head.
  let groupSize: Int
  let headDim: Int
  let slotType: KVCache.SlotType
  /// The stages of the group.
  let stages: [any StageSpecification]

  /// KV heads.
  var count: Int { heads.count }
  /// Dimensions of all query heads of a KV head.
  var groupWidth: Int { groupSize * headDim }
  /// Slots of all bounded stages together, as they are stored.
  var boundedSlots: Int { boundedSlots(after: 0) }

  /// Slots of all bounded stages together after so many tokens of a prompt, for which some may hold more.
  func boundedSlots(after tokens: Int) -> Int {
    let held = stages.contains { $0.blueprint.opensForPrompt } ? tokens : 0
    return StageStorage.slots(capacity: stages.compactMap(\.capacity).reduce(0, +), used: held)
  }
}
