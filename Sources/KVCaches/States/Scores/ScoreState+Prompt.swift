import Kernels

/// The end of a prompt that was read whole.
extension ScoreState {
  /// Lets go what is more than a stage's capacity, of a stage that has held all of a prompt: in each head the tokens with
  /// the lowest scores, of equal ones the older.
  ///
  /// Needs, beside what is held, the slots that are kept.
  ///
  /// - Returns: whether there was such a stage.
  func cutPrompt(of group: HeadGroup, team: WorkerTeam, kernels: InstructionSet) -> Bool {
    let index = group.ledger.stages.count - 1
    guard var stage = group.ledger.stages[index] as? ScoredStage, stage.isOpen else { return false }
    group.note(PromptCut(self, of: group, stage: index))
    if stage.count > stage.size {
      let moved = (0..<site.count).map { kept(of: stage, offset: group.slots.places[index].offset, place: $0) }
      move(moved, of: group, stage: index, team: team, kernels: kernels)
    }
    stage.close()
    group.ledger.replace(stage: index, with: stage)
    return true
  }

  /// The slots of what a head keeps: those in front of the stage, and the best of its own, ascending.
  private func kept(of stage: ScoredStage, offset: Int, place: Int) -> [Int] {
    let scores = scores.pointer + place * slots
    // Broken numbers lose every comparison.
    let worth = { (slot: Int) in scores[slot].isNaN ? -Double.infinity : scores[slot] }
    let ranked = (offset..<offset + stage.count).sorted { a, b in
      let (x, y) = (worth(a), worth(b))
      return x == y ? a > b : x > y
    }
    return Array(0..<offset) + ranked.prefix(stage.size).sorted()
  }

  /// Puts the tokens of some slots, `[place][slot]`, into a block of the bounded size, one behind the other.
  private func move(
    _ kept: [[Int]], of group: HeadGroup, stage: Int, team: WorkerTeam, kernels: InstructionSet
  ) {
    let (old, count) = (group.slots.storage(ofStage: stage), site.boundedSlots)
    let new = StageStorage(type: old.type, heads: site.count, headDim: site.headDim, growth: .bounded(count))
    let scores = Buffer<Double>(count: site.count * count)
    team.parallelFor(site.count) { places in
      let row = Buffer<Float>(count: site.headDim)
      for place in places {
        let (source, target) = (old.slots(head: place, block: 0), new.slots(head: place, block: 0))
        for (slot, from) in kept[place].enumerated() {
          kernels.readKey(from, of: source, to: row.pointer)
          kernels.writeKey(row.pointer, to: slot, of: target)
          kernels.readValue(from, of: source, to: row.pointer)
          kernels.writeValue(row.pointer, to: slot, of: target)
          scores.pointer[place * count + slot] = self.scores.pointer[place * self.slots + from]
        }
      }
    }
    group.slots.restore(stage: stage, new)
    take(scores)
    for state in group.states { state.didMove(kept) }
  }

  /// How a group stood before its prompt was cut.
  private final class PromptCut: GroupChange {
    private let state: ScoreState
    private let index: Int
    private let storage: StageStorage
    private let stage: any Stage
    private let scores: Buffer<Double>

    init(_ state: ScoreState, of group: HeadGroup, stage index: Int) {
      (self.state, self.index) = (state, index)
      (storage, stage) = (group.slots.storage(ofStage: index), group.ledger.stages[index])
      scores = state.scores
    }

    override var bytes: Int { state.scores === scores ? 0 : storage.bytes + scores.count * 8 }

    override func undo(_ group: HeadGroup) {
      group.ledger.replace(stage: index, with: stage)
      group.slots.restore(stage: index, storage)
      state.take(scores)
    }
  }
}
