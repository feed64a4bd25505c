package import Engine
package import KVCaches
import Kernels
import Models

/// Reads a text under a cache and under a full cache beside it, and compares the two at some positions.
///
/// The model goes on with the full cache's attention. Up to the tokens that are compared the text comes in chunks, as a
/// prompt does, and ends as one; those come one at a time, as in decode, so that a cache shows no token more than it holds.
package final class AttentionRun {
  /// Tokens read so far.
  package private(set) var position = 0

  private let engine: InferenceEngine
  private let name: String
  private let last: Int
  private let attention: ComparingAttention
  /// Where one layer alone is compared, what the model reads under.
  private let probe: LayerProbe?
  /// Of the last tokens that were compared, oldest first, at most `last`.
  private var errors: [TokenErrors] = []

  /// - Parameters:
  ///   - name: what the cache is called in results
  ///   - last: tokens over which errors are averaged
  ///   - tokens: the most tokens that will be read
  ///   - memory: bytes that the caches may take
  ///   - clusters: clusters in which the geometry of keys is measured, nil where nobody asks for it
  ///   - delta: within which distance keys make a cluster, nil where those are not counted
  ///   - layer: the one layer that is compared, without positions, while the model reads under sinks and a window; nil for
  ///     all of them
  /// - Throws: `KVCacheError` where the plan does not fit the model, its layers differ, or the caches do not fit the memory.
  package init(
    engine: InferenceEngine, plan: KVCache.Plan, name: String, slotType: KVCache.SlotType, last: Int, tokens: Int,
    memory: UInt64, clusters: Int? = nil, delta: Double? = nil, layer: Int? = nil
  ) throws(KVCacheError) {
    precondition(last > 0, "errors are averaged over some tokens")
    var layers = engine.model.configuration.layers
    guard layers.allSatisfy({ $0.window == nil && $0.keepsKeys && $0.positions == layers[0].positions }) else {
      throw .badSpecification(name, "attention is compared only in models whose layers are alike")
    }
    if layer != nil {
      layers = [layers[0]]
      layers[0].positions = .none
    }
    let bytes = [KVCache.Plan.full, plan].reduce(0) {
      $0 + KVCache.bytes(plan: $1, layers: layers, slotType: slotType, tokens: tokens)
    }
    guard UInt64(bytes) < memory else {
      throw .badSpecification(
        name,
        "\(tokens) tokens in it and in a full cache take \(bytes >> 20) MiB, but this machine has \(memory >> 20) MiB of memory"
      )
    }
    self.engine = engine
    self.name = name
    self.last = last
    let cache = try KVCache(plan: plan, layers: layers, slotType: slotType)
    cache.recordTokens()
    let attention = ComparingAttention(
      full: try KVCache(plan: .full, layers: layers, slotType: slotType), cache: cache,
      rows: engine.chunk, clusters: clusters, delta: delta, onlyStores: layer != nil, team: engine.team,
      kernels: engine.kernels)
    self.attention = attention
    probe = try layer.map { layer throws(KVCacheError) in
      LayerProbe(
        layer: layer, of: try engine.makeCache(LayerProbe.plan, slotType: slotType), comparison: attention,
        rows: engine.chunk, team: engine.team, kernels: engine.kernels)
    }
  }

  /// Reads on in the text up to a position, and says what the cache holds there.
  ///
  /// - Parameters:
  ///   - text: the whole text's tokens, of which the first `position` are read already
  ///   - target: tokens of the text, beyond `position`
  ///   - afterStep: called after each step
  package func measure(
    at target: Int, of text: [Int32], afterStep: () -> Void = {}
  ) -> AttentionMeasurement {
    precondition(target > position && target <= text.count, "positions ascend within the text")
    text.withUnsafeBufferPointer { text in
      if target - last > position {
        read(text, upTo: target - last, afterStep)
        engine.finishPrompt(of: attention.cache)
      }
      while position < target - 1 { compare(text[position...position], isSpread: false, afterStep) }
    }
    let before = heldTokens()
    text.withUnsafeBufferPointer { compare($0[position...position], isSpread: true, afterStep) }
    // Where tokens leave in order, what the query saw is what is left; elsewhere the step has chosen after it.
    let held = attention.cache.plan.evictsInOrder ? heldTokens() : before.map { $0.map { $0 + [target - 1] } }
    return measurement(held)
  }

  private func read(_ text: UnsafeBufferPointer<Int32>, upTo target: Int, _ afterStep: () -> Void) {
    while position < target {
      let wanted = attention.cache.admissibleChunk(min(engine.chunk, target - position))
      let count = probe?.admissibleChunk(wanted) ?? wanted
      attention.beginStep(tokens: count)
      step(UnsafeBufferPointer(rebasing: text[position..<position + count]))
      position += count
      afterStep()
    }
  }

  private func compare(_ token: Slice<UnsafeBufferPointer<Int32>>, isSpread: Bool, _ afterStep: () -> Void) {
    attention.beginMeasuredStep(isSpread: isSpread)
    step(UnsafeBufferPointer(rebasing: token))
    if errors.count == last { errors.removeFirst() }
    errors.append(attention.errors)
    position += 1
    afterStep()
  }

  private func step(_ tokens: UnsafeBufferPointer<Int32>) {
    guard let probe else { return forward(tokens, attention) }
    probe.beginStep(tokens: tokens.count)
    forward(tokens, probe)
  }

  private func forward(_ tokens: UnsafeBufferPointer<Int32>, _ attention: some LayerAttention) {
    engine.model.forward(tokens, attention: attention, workspace: engine.workspace, team: engine.team)
  }

  /// How keys and values lay at the last position measured, `[layer][KV head]`; empty where nobody asked for it.
  package var geometry: [[HeadGeometry]] { attention.geometry }

  /// Bytes that the cache takes now.
  package var cacheBytes: Int { attention.cache.bytes }

  /// `[layer][KV head][token]`
  private func heldTokens() -> [[[Int]]] {
    let cache = attention.cache
    return (0..<cache.shape.layers).map { layer in
      (0..<cache.shape.keyValueHeads).map { cache.heldTokens(layer: layer, head: $0) }
    }
  }

  private func measurement(_ held: [[[Int]]]) -> AttentionMeasurement {
    let mean = { (value: (TokenErrors) -> Double) in
      self.errors.reduce(0) { $0 + value($1) } / Double(self.errors.count)
    }
    let layers = held.enumerated().map { layer, heads in
      AttentionMeasurement.Layer(
        held: heads, error: mean { $0.layers[layer] },
        headErrors: (0..<attention.cache.shape.queryHeads).map { head in mean { $0.heads[layer][head] } },
        masses: zip(heads, attention.probabilities[layer]).map { tokens, probabilities in
          Self.share(of: tokens, in: probabilities)
        })
    }
    return AttentionMeasurement(cache: name, position: position, last: errors.count, layers: layers)
  }

  /// The share of probabilities that fell on some tokens. Those of all are summed too: rounded, they are not quite 1.
  private static func share(of tokens: [Int], in probabilities: [Float]) -> Double {
    let held = tokens.reduce(0) { $0 + Double(probabilities[$1]) }
    return held / probabilities.reduce(0) { $0 + Double($1) }
  }
}
