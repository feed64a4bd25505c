package import Kernels

/// The end of a prompt.
extension KVCache {
  /// Says that the prompt has ended: a cache that chooses among a prompt's tokens gives up the others. Others stay as
  /// they are.
  ///
  /// To be called once a prompt, after its last token and before the first one of the answer, whose logits are thereby
  /// those of the full cache. Needs, beside what is kept, a float for every token held, layer and KV head, and for
  /// centers a head's keys in float32 for each thread.
  package func finishPrompt(team: WorkerTeam, kernels: InstructionSet) {
    guard let stage = stages[0] as? PromptStage, !stage.isFinished else { return }
    if let kept = chosenTokens(team: team, kernels: kernels) { keep(kept, team: team, kernels: kernels) }
    endPrompt()
  }

  /// Tokens that may come before those behind the packed block are to be compressed; nil where they never are.
  func roomBeforeCompression() -> Int? {
    guard let recompression, let stage = stages[0] as? PromptStage, stage.isFinished else { return nil }
    guard stage.packed.isEmpty else { return recompression - stage.grown }
    guard let prompt = plan.prompt, case .tokens(let size) = prompt.size else { return nil }
    return size + recompression - stage.grown
  }

  /// Compresses what has come since the last time, where that is enough; to be called before each step.
  ///
  /// Allocates where it compresses, once in so many tokens.
  func compress(team: WorkerTeam, kernels: InstructionSet) {
    guard let room = roomBeforeCompression(), room <= 0 else { return }
    let kept = chosenTokens(team: team, kernels: kernels) ?? heldSlots().map { KeptTokens.all($0.count) }
    keep(kept, team: team, kernels: kernels)
  }

  /// How far the tokens of each head were at most from the ones that stand for them when tokens were chosen last,
  /// `[layer, KV head]`; empty where nothing stands for others, or since a snapshot was restored.
  package var centerRadii: [Float] { storage[places[0].storage].packed?.radii ?? [] }

  /// What each head keeps, `[layer, KV head]`; nil where it is everything.
  func chosenTokens(team: WorkerTeam, kernels: InstructionSet) -> [KeptTokens]? {
    guard let prompt = plan.prompt else { return nil }
    let held = heldSlots()
    let candidates = held.map { max(0, $0.count - prompt.window) }
    guard let budgets = prompt.budgets(shape: shape, tokenCount: tokenCount, candidates: candidates) else { return nil }
    return chosenTokens(of: held, budgets: budgets, team: team, kernels: kernels)
  }

  /// What each head keeps with a budget for every layer, as `chosenTokens(team:kernels:)` has it.
  ///
  /// - Parameter firstHead: heads of other layers before these, where the cache has only some layers of a model.
  func chosenTokens(
    of held: [HeldSlots], budgets: [Int], firstHead: Int = 0, team: WorkerTeam, kernels: InstructionSet
  ) -> [KeptTokens]? {
    guard let prompt = plan.prompt else { return nil }
    let candidates = held.map { max(0, $0.count - prompt.window) }
    switch prompt.choice {
    case .votes:
      guard let observation else { return nil }
      let votes = PromptVotes(
        shape: shape, prompt: prompt, positions: positions, tokenCount: tokenCount, observation)
      return voted(votes, held, candidates: candidates, budgets: budgets, team: team, kernels: kernels)
    case .centers, .random:
      return covering(
        prompt, held, candidates: candidates, budgets: budgets, firstHead: firstHead, team: team, kernels: kernels)
    }
  }

  /// The tokens with the most votes.
  private func voted(
    _ votes: PromptVotes, _ held: [HeldSlots], candidates: [Int], budgets: [Int], team: WorkerTeam,
    kernels: InstructionSet
  ) -> [KeptTokens] {
    let prompt = votes.prompt
    let starts = candidates.indices.map { candidates[..<$0].reduce(0, +) }
    let scores = Buffer<Float>(count: candidates.reduce(0, +))
    team.parallelFor(held.count) { heads in
      let scratch = PromptVotes.Scratch(votes)
      for head in heads {
        votes.count(head: head, held[head], into: scores.pointer + starts[head], scratch, kernels)
        (scores.pointer + starts[head]).update(repeating: .infinity, count: min(prompt.sinks, candidates[head]))
      }
    }
    var kept: [KeptTokens] = []
    for layer in 0..<shape.layers {
      let heads = layer * shape.keyValueHeads..<(layer + 1) * shape.keyValueHeads
      let start = starts[heads.lowerBound]
      let ranges = heads.map { starts[$0] - start..<starts[$0] - start + candidates[$0] }
      let chosen = PromptChoice.choose(scores.pointer + start, heads: ranges, budget: budgets[layer], prompt.heads)
      for (range, head) in zip(ranges, heads) {
        let winners = range.filter { chosen[$0] }.map { $0 - range.lowerBound }
        kept.append(KeptTokens(chosen: winners, sinks: 0, window: prompt.window, of: held[head].count))
      }
    }
    return kept
  }

  /// Sinks, and of the other tokens centers or any.
  private func covering(
    _ prompt: Prompt, _ held: [HeldSlots], candidates: [Int], budgets: [Int], firstHead: Int, team: WorkerTeam,
    kernels: InstructionSet
  ) -> [KeptTokens] {
    var kept = [KeptTokens](repeating: KeptTokens(slots: []), count: held.count)
    kept.withUnsafeMutableBufferPointer { kept in
      // Threads write elements of their own.
      nonisolated(unsafe) let kept = kept
      team.parallelFor(held.count) { heads in
        for head in heads {
          let budget = budgets[head / shape.keyValueHeads]
          let sinks = min(prompt.sinks, candidates[head], budget)
          let (count, wanted) = (candidates[head] - sinks, budget - sinks)
          if case .centers = prompt.choice {
            let keys = held[head].keys(sinks..<candidates[head], kernels)
            let clusters = FarthestFirst(keys.slots, count: count, limit: wanted, kernels)
            kept[head] = KeptTokens(clusters, sinks: sinks, window: prompt.window, of: held[head].count)
          } else {
            let seed = (UInt64(firstHead + head) + 1) &* 0xD134_2543_DE82_EF95
            let chosen = RandomChoice.choose(wanted, of: count, seed: seed).map { $0 + sinks }
            kept[head] = KeptTokens(chosen: chosen, sinks: sinks, window: prompt.window, of: held[head].count)
          }
        }
      }
    }
    return kept
  }

  /// Where the tokens of each head lie, `[layer, KV head]`.
  func heldSlots() -> [HeldSlots] {
    guard let stage = stages[0] as? PromptStage else { return [] }
    let (storage, type) = (storage[places[0].storage], slotType.elementType)
    return (0..<shape.layers * shape.keyValueHeads).map { head in
      var held = HeldSlots(slots: [], counts: [])
      if let packed = storage.packed {
        held.slots.append(packed.block.slots(head: head, type: type, headDim: shape.headDim))
        held.counts.append(stage.packed[head])
        held.represented = packed.represented(head: head)
      }
      for block in 0..<storage.blockCount {
        let used = min(stage.grown - block * storage.slotsPerBlock, storage.slotsPerBlock)
        guard used > 0 else { break }
        held.slots.append(storage.block(block).slots(head: head, type: type, headDim: shape.headDim))
        held.counts.append(used)
      }
      return held
    }
  }

  /// Copies what each head keeps into a packed block, and gives up all else.
  func keep(_ kept: [KeptTokens], team: WorkerTeam, kernels: InstructionSet) {
    let held = heldSlots()
    let counts = kept.map(\.slots.count)
    let centers = plan.prompt?.centers
    var packed = PackedSlots(type: slotType.elementType, headDim: shape.headDim, counts: counts, centers: centers)
    if centers != nil { packed.radii = kept.map(\.radius) }
    team.parallelFor(held.count) { [packed] heads in
      let row = Buffer<Float>(count: shape.headDim)
      for head in heads {
        let target = packed.block.slots(head: head, type: slotType.elementType, headDim: shape.headDim)
        held[head].copy(kept[head].slots, to: target, row: row.pointer, kernels)
        guard let represented = packed.represented(head: head) else { continue }
        held[head].addUp(kept[head], to: represented)
        packed.weigh(head: head)
      }
    }
    pack(packed, counts: counts)
    tokenRecord?.keep(kept.map(\.slots))
  }
}

extension Prompt {
  /// The tokens that each layer keeps of a head before the window, in the mean; nil where there is nothing to give up.
  ///
  /// - Parameter candidates: the tokens before the window that each head holds, `[layer, KV head]`
  func budgets(shape: KVCache.Shape, tokenCount: Int64, candidates: [Int]) -> [Int]? {
    let largest = candidates.max() ?? 0
    guard tokenCount > Int64(window), largest > 0 else { return nil }
    // A share is one of the stream, also where some of it is forgotten already.
    let mean = chosen(of: Int(tokenCount - Int64(window)))
    let budgets = PromptChoice.budgets(layers, mean: mean, available: largest, layers: shape.layers)
    for layer in 0..<shape.layers {
      let heads = candidates[layer * shape.keyValueHeads..<(layer + 1) * shape.keyValueHeads]
      let total = heads.reduce(0, +)
      let isCut =
        self.heads == .uniform
        ? heads.contains { $0 > budgets[layer] } : total > budgets[layer] * heads.count
      if isCut { return budgets }
    }
    return nil
  }
}
