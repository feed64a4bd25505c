import Kernels

/// The choice among a prompt's tokens.
extension PromptState {
  /// What each head keeps, `[place]`; nil where it is everything.
  func choose(_ group: HeadGroup, team: WorkerTeam, kernels: InstructionSet) -> [KeptTokens]? {
    let held = heldSlots(group)
    let window = prompt.window(of: Int(group.ledger.tokenCount))
    let candidates = held.map { max(0, $0.count - window) }
    let layers = site.heads.layers.map(\.places)
    guard let budgets = prompt.budgets(layers: layers, tokenCount: group.ledger.tokenCount, candidates: candidates)
    else { return nil }
    return choose(of: held, budgets: budgets, in: group, team: team, kernels: kernels)
  }

  /// What each head keeps with a budget for every layer.
  ///
  /// - Parameter firstHead: heads of the model before these, where the group is one of a single layer.
  func choose(
    of held: [HeldSlots], budgets: [Int], in group: HeadGroup, firstHead: Int = 0, team: WorkerTeam,
    kernels: InstructionSet
  ) -> [KeptTokens]? {
    switch prompt.choice {
    case .votes:
      guard let observation else { return nil }
      let votes = PromptVotes(
        attention: group.attention, prompt: prompt, tokenCount: group.ledger.tokenCount, observation)
      return voted(votes, held, budgets: budgets, team: team, kernels: kernels)
    case .centers, .random:
      let window = prompt.window(of: Int(group.ledger.tokenCount))
      return covering(held, budgets: budgets, window: window, firstHead: firstHead, team: team, kernels: kernels)
    }
  }

  /// The tokens with the most votes.
  private func voted(
    _ votes: PromptVotes, _ held: [HeldSlots], budgets: [Int], team: WorkerTeam, kernels: InstructionSet
  ) -> [KeptTokens] {
    let candidates = held.map { max(0, $0.count - prompt.window) }
    let starts = candidates.indices.map { candidates[..<$0].reduce(0, +) }
    let scores = Buffer<Float>(count: candidates.reduce(0, +))
    team.parallelFor(held.count) { heads in
      let scratch = PromptVotes.Scratch(votes)
      for head in heads {
        votes.count(place: head, held[head], into: scores.pointer + starts[head], scratch, kernels)
        (scores.pointer + starts[head]).update(repeating: .infinity, count: min(prompt.sinks, candidates[head]))
      }
    }
    var kept: [KeptTokens] = []
    for (layer, budget) in zip(site.heads.layers, budgets) {
      let start = starts[layer.places.lowerBound]
      let ranges = layer.places.map { starts[$0] - start..<starts[$0] - start + candidates[$0] }
      let chosen = PromptChoice.choose(scores.pointer + start, heads: ranges, budget: budget, prompt.heads)
      for (range, head) in zip(ranges, layer.places) {
        let winners = range.filter { chosen[$0] }.map { $0 - range.lowerBound }
        kept.append(KeptTokens(chosen: winners, sinks: 0, window: prompt.window, of: held[head].count))
      }
    }
    return kept
  }

  /// Sinks, and of the other tokens centers or any.
  private func covering(
    _ held: [HeldSlots], budgets: [Int], window: Int, firstHead: Int, team: WorkerTeam, kernels: InstructionSet
  ) -> [KeptTokens] {
    let budgetOfPlace = zip(site.heads.layers, budgets).flatMap { layer, budget in layer.places.map { _ in budget } }
    var kept = [KeptTokens](repeating: KeptTokens(slots: []), count: held.count)
    kept.withUnsafeMutableBufferPointer { kept in
      // Threads write elements of their own.
      nonisolated(unsafe) let kept = kept
      team.parallelFor(held.count) { heads in
        for head in heads {
          let (budget, candidates) = (budgetOfPlace[head], max(0, held[head].count - window))
          let sinks = min(prompt.sinks, candidates, budget)
          let (count, wanted) = (candidates - sinks, budget - sinks)
          if case .centers = prompt.choice {
            let keys = held[head].keys(sinks..<candidates, kernels)
            let clusters = FarthestFirst(keys.slots, count: count, limit: wanted, kernels)
            kept[head] = KeptTokens(clusters, sinks: sinks, window: window, of: held[head].count)
          } else {
            let seed = (UInt64(firstHead + site.heads.modelHeads[head]) + 1) &* 0xD134_2543_DE82_EF95
            let chosen = RandomChoice.choose(wanted, of: count, seed: seed).map { $0 + sinks }
            kept[head] = KeptTokens(chosen: chosen, sinks: sinks, window: window, of: held[head].count)
          }
        }
      }
    }
    return kept
  }

  /// Where the tokens of each head lie, `[place]`.
  func heldSlots(_ group: HeadGroup) -> [HeldSlots] {
    guard let stage = Self.stage(of: group) else { return [] }
    let storage = group.slots.storage(ofStage: 0)
    return (0..<site.count).map { place in
      var held = HeldSlots(slots: [], counts: [])
      if let packed = storage.packed {
        held.slots.append(packed.block.slots(head: place, type: storage.type, headDim: site.headDim))
        held.counts.append(stage.packed[place])
        held.represented = packed.represented(head: place)
      }
      for block in 0..<storage.blockCount where storage.used(stage.grown, ofBlock: block) > 0 {
        held.slots.append(storage.slots(head: place, block: block))
        held.counts.append(storage.used(stage.grown, ofBlock: block))
      }
      return held
    }
  }

  /// Copies what each head keeps into a packed block, and gives up all else.
  func keep(
    _ kept: [KeptTokens], of group: HeadGroup, endsPrompt: Bool, team: WorkerTeam, kernels: InstructionSet
  ) {
    let held = heldSlots(group)
    let counts = kept.map(\.slots.count)
    let type = site.slotType.elementType
    var packed = PackedSlots(type: type, headDim: site.headDim, counts: counts, isCounted: prompt.centers != nil)
    if prompt.centers != nil { packed.radii = kept.map(\.radius) }
    team.parallelFor(held.count) { [packed] heads in
      let row = Buffer<Float>(count: site.headDim)
      for head in heads {
        let target = packed.block.slots(head: head, type: type, headDim: site.headDim)
        held[head].copy(kept[head].slots, to: target, row: row.pointer, kernels)
        guard let represented = packed.represented(head: head) else { continue }
        held[head].addUp(kept[head], to: represented)
        packed.weigh(head: head)
      }
    }
    pack(packed, counts: counts, of: group, endsPrompt: endsPrompt)
    for state in group.states { state.didChoose(kept.map(\.slots)) }
  }
}

extension Prompt {
  /// The tokens that each layer keeps of a head before the window, in the mean; nil where there is nothing to give up.
  ///
  /// - Parameters:
  ///   - layers: the places of each layer's heads
  ///   - candidates: the tokens before the window that each head holds, `[place]`
  func budgets(layers: [Range<Int>], tokenCount: Int64, candidates: [Int]) -> [Int]? {
    let largest = candidates.max() ?? 0
    guard tokenCount > Int64(window(of: Int(tokenCount))), largest > 0 else { return nil }
    // A share is one of the stream, also where some of it is forgotten already.
    let mean = chosen(of: Int(tokenCount))
    let budgets = PromptChoice.budgets(self.layers, mean: mean, available: largest, layers: layers.count)
    for (places, budget) in zip(layers, budgets) {
      let heads = candidates[places]
      let isCut =
        self.heads == .uniform
        ? heads.contains { $0 > budget } : heads.reduce(0, +) > budget * heads.count
      if isCut { return budgets }
    }
    return nil
  }
}

extension KVCache.Plan {
  /// The stage that chooses among a prompt's tokens, nil where there is none.
  package var prompt: Prompt? { stages[0] as? Prompt }
}

extension KVCache {
  /// How far the tokens of each head were at most from the ones that stand for them when tokens were chosen last,
  /// `[place]` in the group of heads that keep most; empty where nothing stands for others, or since a snapshot was
  /// restored.
  package var centerRadii: [Float] { groups[0].slots.storage(ofStage: 0).packed?.radii ?? [] }
}
