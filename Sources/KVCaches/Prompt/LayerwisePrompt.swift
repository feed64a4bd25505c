package import Kernels

/// A prompt that goes through a model one layer after another, so that only one layer at a time holds all of it.
///
/// Each layer reads the whole prompt into `layerCache`, a cache of that layer alone, and gives up what is not chosen;
/// in the end the cache itself takes up what all layers have kept. Memory beside that: one layer's tokens, and for a
/// moment what is kept a second time.
package final class LayerwisePrompt {
  /// A cache of one layer, empty when a layer begins.
  package let layerCache: KVCache
  private let cache: KVCache
  private let tokens: Int
  /// The tokens that each layer keeps of a head before the window, in the mean.
  private let budgets: [Int]
  private var parts: [PackedSlots] = []
  private var kept: [KeptTokens] = []

  /// - Parameter tokens: all of the prompt.
  /// - Returns: nil where the cache does not ask for this order, holds tokens already, or would keep the whole prompt.
  package init?(cache: KVCache, tokens: Int) {
    let shape = cache.shape
    guard let prompt = cache.plan.prompt, prompt.order == .layerMajor, cache.tokenCount == 0 else { return nil }
    let candidates = [Int](repeating: max(0, tokens - prompt.window), count: shape.layers * shape.keyValueHeads)
    let budgets = prompt.budgets(shape: shape, tokenCount: Int64(tokens), candidates: candidates)
    // What a cache of all layers may have, one of a single layer may have.
    guard let budgets,
      let layerCache = try? KVCache(
        plan: cache.plan, shape: shape.oneLayer, slotType: cache.slotType, positions: cache.positions)
    else { return nil }
    (self.cache, self.layerCache, self.tokens, self.budgets) = (cache, layerCache, tokens, budgets)
  }

  /// The most bytes that a cache takes while it reads a prompt of so many tokens, or more than that; whether it goes
  /// through the model layer by layer or not.
  package static func peakBytes(
    plan: KVCache.Plan, shape: KVCache.Shape, slotType: KVCache.SlotType, tokens: Int
  ) -> Int {
    let bytes = { KVCache.bytes(plan: plan, shape: $0, slotType: slotType, tokens: $1) }
    guard let prompt = plan.prompt, prompt.order == .layerMajor, prompt.keptTokens(of: tokens) < tokens else {
      return bytes(shape, tokens)
    }
    // What is kept comes in whole panels, stands twice for a moment, and is followed by a block for the answer.
    let kept = [tokens] + [Int](repeating: 1, count: 15)
    return bytes(shape.oneLayer, tokens) + bytes(shape, 1)
      + 2 * kept.reduce(0) { $0 + prompt.keptBytes(of: $1, shape: shape, slotType: slotType) }
  }

  /// Bytes of keys and values, and of what decides on them, held now.
  package var bytes: Int { parts.reduce(cache.bytes + layerCache.bytes) { $0 + $1.bytes } }

  /// Chooses among the tokens of the layer that has read the whole prompt, and readies `layerCache` for the next one.
  package func finishLayer(team: WorkerTeam, kernels: InstructionSet) {
    precondition(layerCache.tokenCount == Int64(tokens), "a layer that has not read all of the prompt")
    let layer = parts.count
    let held = layerCache.heldSlots()
    let firstHead = layer * layerCache.shape.keyValueHeads
    let chosen = layerCache.chosenTokens(
      of: held, budgets: [budgets[layer]], firstHead: firstHead, team: team, kernels: kernels)
    let kept = chosen ?? held.map { KeptTokens.all($0.count) }
    layerCache.keep(kept, team: team, kernels: kernels)
    if let packed = layerCache.packedSlots { parts.append(packed) }
    self.kept += kept
    if let observation = layerCache.observation { cache.observation?.copy(observation, toLayer: layer) }
    layerCache.reset()
  }

  /// Has the cache take up what all layers have kept; the prompt has then ended.
  package func finish() {
    precondition(parts.count == cache.shape.layers, "layers that have not read the prompt")
    cache.takePrompt(tokens: tokens, parts, kept)
    parts = []
  }
}

extension KVCache {
  /// What was chosen of a prompt, nil where nothing was.
  var packedSlots: PackedSlots? { storage[places[0].storage].packed }

  /// Takes up a prompt that has ended, of so many tokens, of an empty cache.
  ///
  /// - Parameters:
  ///   - parts: what each layer has kept
  ///   - kept: the tokens, `[layer, KV head]`
  fileprivate func takePrompt(tokens: Int, _ parts: [PackedSlots], _ kept: [KeptTokens]) {
    guard var stage = stages[0] as? PromptStage else { return assertionFailure("only a prompt is packed") }
    let counts = kept.map(\.slots.count)
    stage.pack(counts)
    stage.finish()
    restore(tokenCount: Int64(tokens), stages: [stage], summary: nil)
    storage[places[0].storage].replace(
      with: PackedSlots(
        joining: parts, type: slotType.elementType, headDim: shape.headDim, counts: counts,
        centers: plan.prompt?.centers))
    tokenRecord?.start(with: kept.map(\.slots))
  }
}
