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
  /// - Returns: nil where the cache does not ask for this order, holds tokens already, would keep the whole prompt, or has
  ///   heads that follow other stages.
  package init?(cache: KVCache, tokens: Int) {
    guard cache.groups.count == 1, cache.attention.allSatisfy(\.keepsKeys),
      let state = cache.groups[0].state(PromptState.self),
      state.prompt.order == .layerMajor, cache.tokenCount == 0
    else { return nil }
    let layers = state.site.heads.layers.map(\.places)
    let candidates = [Int](repeating: max(0, tokens - state.prompt.window(of: tokens)), count: state.site.count)
    let budgets = state.prompt.budgets(layers: layers, tokenCount: Int64(tokens), candidates: candidates)
    // What a cache of all layers may have, one of a single layer may have.
    guard let budgets,
      let layerCache = try? KVCache(plan: cache.plan, layers: [cache.attention[0]], slotType: cache.slotType)
    else { return nil }
    (self.cache, self.layerCache, self.tokens, self.budgets) = (cache, layerCache, tokens, budgets)
  }

  /// Layers of the model.
  package var layers: Int { cache.attention.count }

  /// The most bytes that a cache takes while it reads a prompt of so many tokens, or more than that; whether it goes
  /// through the model layer by layer or not.
  package static func peakBytes(
    plan: KVCache.Plan, layers: [AttentionLayer], slotType: KVCache.SlotType, tokens: Int
  ) -> Int {
    let bytes = { KVCache.bytes(plan: plan, layers: $0, slotType: slotType, tokens: $1) }
    guard let prompt = plan.prompt, prompt.order == .layerMajor, prompt.keptTokens(of: tokens) < tokens,
      layers.allSatisfy({ $0.window == nil && $0.keepsKeys })
    else { return bytes(layers, tokens) }
    let shape = KVCache.Shape(
      layers: layers.count, queryHeads: layers[0].queryHeads, keyValueHeads: layers[0].keyValueHeads,
      headDim: layers[0].headDim)
    // What is kept comes in whole panels, with adaptive budgets half a token a head more than was asked for, stands twice for
    // a moment, and is followed by a block for the answer.
    let kept = [tokens] + [Int](repeating: 1, count: 16)
    return bytes([layers[0]], tokens) + bytes(layers, 1)
      + 2 * kept.reduce(0) { $0 + prompt.keptBytes(of: $1, shape: shape, slotType: slotType) }
  }

  /// Bytes of keys and values, and of what decides on them, held now.
  package var bytes: Int { parts.reduce(cache.bytes + layerCache.bytes) { $0 + $1.bytes } }

  /// Chooses among the tokens of the layer that has read the whole prompt, and readies `layerCache` for the next one.
  package func finishLayer(team: WorkerTeam, kernels: InstructionSet) {
    precondition(layerCache.tokenCount == Int64(tokens), "a layer that has not read all of the prompt")
    let (layer, group) = (parts.count, layerCache.groups[0])
    guard let state = group.state(PromptState.self) else { return }
    let held = state.heldSlots(group)
    let firstHead = layer * group.attention.keyValueHeads
    let chosen = state.choose(
      of: held, budgets: [budgets[layer]], in: group, firstHead: firstHead, team: team, kernels: kernels)
    let kept = chosen ?? held.map { KeptTokens.all($0.count) }
    let observed = state.observation
    state.keep(kept, of: group, endsPrompt: false, team: team, kernels: kernels)
    if let packed = group.slots.storage(ofStage: 0).packed { parts.append(packed) }
    self.kept += kept
    if let observed { cache.groups[0].state(PromptState.self)?.observation?.copy(observed, to: firstHead) }
    layerCache.reset()
  }

  /// Has the cache take up what all layers have kept; the prompt has then ended.
  package func finish() {
    let group = cache.groups[0]
    precondition(parts.count == cache.attention.count, "layers that have not read the prompt")
    guard let state = group.state(PromptState.self) else { return }
    let counts = kept.map(\.slots.count)
    let packed = PackedSlots(
      joining: parts, type: group.slots.type, headDim: group.slots.headDim, counts: counts,
      isCounted: state.prompt.centers != nil)
    state.takePrompt(tokens: tokens, packed, kept, of: group)
    parts = []
  }
}
