/// Caches of which a shorter stream can be taken up: what they held then is the start of what they hold.
extension KVCache {
  /// Tokens of a panel of keys: a stream is cut where one ends.
  package static let cutStep = 16

  /// Whether all heads keep every token in the order of the stream and nothing beside, so that no token depends on a later one.
  package var canBeCut: Bool {
    recurrent.layout.count == 0 && distantHeads == nil && slots == .all && groups.allSatisfy(\.canBeCut)
  }

  /// Tokens after which the blocks of a cache that can be cut begin, up to so many: what two streams have in common up to there
  /// is the same in both.
  package static func blockStarts(upTo tokens: Int) -> [Int] {
    (1..<max(1, SlotGrowth.doubling.blocks(slots: tokens) + 1)).lazy.map { SlotGrowth.doubling.firstSlot(ofBlock: $0) }
      .filter { $0 <= tokens }
  }
}

/// What becomes of a section as a stream grows.
package enum SectionCourse: Sendable {
  /// It may change with any step.
  case changing
  /// It is a block of slots that fills.
  case growing
  /// It is a full block of slots: the same in all streams that begin alike, as long as no token is taken back.
  case settled
}

extension KVCache {
  /// What becomes of a section; only a cache that can be cut has blocks that settle.
  package func course(of name: SectionName) -> SectionCourse {
    guard canBeCut, name.group < groups.count, name.state == SectionName.slots else { return .changing }
    return groups[name.group].firstToken(ofBlock: name.block + 1) <= Int(tokenCount) ? .settled : .growing
  }
}

extension HeadGroup {
  var canBeCut: Bool {
    plan.states.isEmpty && plan.stages.count == 1 && plan.stages.allSatisfy(\.blueprint.canBeCut)
  }

  /// Tokens of the stream in front of those in a block.
  func firstToken(ofBlock block: Int) -> Int { slots.places[0].growth.firstSlot(ofBlock: block) }

  /// Lets go of all tokens but the first.
  func cut(to tokens: Int) {
    var stages = ledger.stages
    for index in stages.indices { stages[index].cut(to: tokens) }
    set(tokenCount: Int64(tokens), stages: stages)
    slots.giveUpGrowth(stages)
  }
}
