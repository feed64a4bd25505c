package import Kernels

/// The end of a prompt.
extension KVCache {
  /// Says that the prompt has ended: a cache that votes on prompts gives up what was not chosen. Others stay as they are.
  ///
  /// To be called once a prompt, after its last token and before the first one of the answer, whose logits are thereby
  /// those of the full cache. Needs, beside what is kept, a float for every token held, layer and KV head.
  package func finishPrompt(team: WorkerTeam, kernels: InstructionSet) {
    guard let stage = stages[0] as? PromptStage, !stage.isFinished else { return }
    if let kept = chosenSlots(team: team, kernels: kernels) { keep(kept, team: team, kernels: kernels) }
    endPrompt()
  }

  /// Slots that a head keeps, counted from its oldest, ascending, `[layer, KV head][kept]`; nil where it is all of them.
  func chosenSlots(team: WorkerTeam, kernels: InstructionSet) -> [[Int]]? {
    guard let prompt = plan.prompt, let observation else { return nil }
    let held = heldSlots()
    let candidates = held.map { max(0, $0.count - prompt.window) }
    guard let budgets = budgets(prompt, candidates: candidates) else { return nil }
    let starts = candidates.indices.map { candidates[..<$0].reduce(0, +) }
    let scores = Buffer<Float>(count: candidates.reduce(0, +))
    let votes = PromptVotes(
      shape: shape, prompt: prompt, positions: positions, tokenCount: tokenCount, observation)
    team.parallelFor(held.count) { heads in
      let scratch = PromptVotes.Scratch(votes)
      for head in heads { votes.count(head: head, held[head], into: scores.pointer + starts[head], scratch, kernels) }
    }
    var kept: [[Int]] = []
    for layer in 0..<shape.layers {
      let heads = layer * shape.keyValueHeads..<(layer + 1) * shape.keyValueHeads
      let start = starts[heads.lowerBound]
      let ranges = heads.map { starts[$0] - start..<starts[$0] - start + candidates[$0] }
      let chosen = PromptChoice.choose(scores.pointer + start, heads: ranges, budget: budgets[layer], prompt.heads)
      for (range, head) in zip(ranges, heads) {
        let winners = range.filter { chosen[$0] }.map { $0 - range.lowerBound }
        kept.append(winners + Array(candidates[head]..<held[head].count))
      }
    }
    return kept
  }

  /// The tokens that each layer chooses for a head, in the mean; nil where there is nothing to give up.
  private func budgets(_ prompt: Prompt, candidates: [Int]) -> [Int]? {
    let (window, largest) = (Int64(prompt.window), candidates.max() ?? 0)
    guard tokenCount > window, largest > 0 else { return nil }
    // A share is one of the stream, also where some of it is forgotten already.
    let mean = prompt.chosen(of: Int(tokenCount - window))
    let budgets = PromptChoice.budgets(prompt.layers, mean: mean, available: largest, layers: shape.layers)
    for layer in 0..<shape.layers {
      let heads = candidates[layer * shape.keyValueHeads..<(layer + 1) * shape.keyValueHeads]
      let total = heads.reduce(0, +)
      let isCut =
        prompt.heads == .uniform
        ? heads.contains { $0 > budgets[layer] } : total > budgets[layer] * shape.keyValueHeads
      if isCut { return budgets }
    }
    return nil
  }

  /// Where the tokens of each head lie, `[layer, KV head]`.
  private func heldSlots() -> [PromptVotes.Ballot] {
    guard let stage = stages[0] as? PromptStage else { return [] }
    let (storage, type) = (storage[places[0].storage], slotType.elementType)
    return (0..<shape.layers * shape.keyValueHeads).map { head in
      var held = PromptVotes.Ballot(slots: [], counts: [])
      if let packed = storage.packed {
        held.slots.append(packed.block.slots(head: head, type: type, headDim: shape.headDim))
        held.counts.append(stage.packed[head])
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

  /// Copies the slots that each head keeps into a packed block, and gives up all others.
  private func keep(_ kept: [[Int]], team: WorkerTeam, kernels: InstructionSet) {
    let held = heldSlots()
    let counts = kept.map(\.count)
    let packed = PackedSlots(type: slotType.elementType, headDim: shape.headDim, counts: counts)
    team.parallelFor(held.count) { heads in
      let row = Buffer<Float>(count: shape.headDim)
      for head in heads {
        let target = packed.block.slots(head: head, type: slotType.elementType, headDim: shape.headDim)
        var (block, first) = (0, 0)
        for (slot, source) in kept[head].enumerated() {
          while source - first >= held[head].counts[block] {
            first += held[head].counts[block]
            block += 1
          }
          let slots = held[head].slots[block]
          kernels.readKey(source - first, of: slots, to: row.pointer)
          kernels.writeKey(row.pointer, to: slot, of: target)
          kernels.readValue(source - first, of: slots, to: row.pointer)
          kernels.writeValue(row.pointer, to: slot, of: target)
        }
      }
    }
    pack(packed, counts: counts)
    tokenRecord?.keep(kept)
  }
}

/// What a snapshot saves of a cache that votes on prompts, beside the slots that grow.
extension KVCache {
  /// Calls `body` with the packed block and the queries that may vote.
  func forEachPromptRange(tokens: Int64, _ body: (UnsafeMutableRawBufferPointer) -> Void) {
    guard plan.prompt != nil else { return }
    if let packed = storage[places[0].storage].packed { body(packed.contents) }
    observation?.forEachUsedRange(tokens: tokens, body)
  }

  /// The bytes that `forEachPromptRange` hands over for stages from a snapshot.
  ///
  /// - Throws: `KVCacheError` where the stage's counters cannot be those of this cache after `tokens` tokens.
  func promptBytes(of stages: [any Stage], tokens: Int64) throws(KVCacheError) -> Int {
    guard let prompt = plan.prompt, let stage = stages[0] as? PromptStage else { return 0 }
    let counts = stage.packed
    guard counts.isEmpty || counts.count == shape.layers * shape.keyValueHeads else {
      throw .badSnapshot("it holds tokens of \(counts.count) heads")
    }
    let held = Int64(stage.largestPacked) + Int64(stage.grown)
    guard counts.isEmpty ? held == tokens : held <= tokens && counts.allSatisfy({ $0 >= prompt.window }) else {
      throw .badSnapshot("impossible counts of a prompt's tokens")
    }
    let queries =
      stage.isFinished ? 0 : ObservationWindow.usedBytes(tokens: tokens, size: prompt.window, shape: shape)
    return queries + PackedSlots.bytes(type: slotType.elementType, headDim: shape.headDim, counts: counts)
  }
}
