/// Heads of a model that are to follow the same stages.
struct GroupPart {
  var plan: KVCache.Plan
  var heads: StoredHeads
  /// What attention is in their layers.
  var attention: AttentionLayer

  func site(_ slotType: KVCache.SlotType) -> StateSite {
    StateSite(
      heads: heads, groupSize: attention.groupSize, headDim: attention.headDim, slotType: slotType,
      stages: plan.stages)
  }
}

extension KVCache.Plan {
  /// Which heads of a model follow which plan, those that keep most first.
  ///
  /// Layers with a native window keep that window and nothing else, whatever the plan; the plan rules the others.
  ///
  /// - Throws: `KVCacheError` where the plan is one for another model.
  func parts(for layers: [AttentionLayer]) throws(KVCacheError) -> [GroupPart] {
    guard layers.allSatisfy({ $0.keysOfLayer == nil }) else {
      throw .badSpecification(description, "layers that read the keys of others are not supported yet")
    }
    guard layers.contains(where: { $0.window == nil }) else {
      throw .badSpecification(description, "no layer of this model is without a window of its own")
    }
    var (ruled, windowed): ([GroupPart], [GroupPart]) = ([], [])
    for kind in kinds(of: layers) {
      let members = layers.indices.filter { kind.hasSameMemory(as: layers[$0]) }
      let heads = members.flatMap { $0 * kind.keyValueHeads..<($0 + 1) * kind.keyValueHeads }
      let stored = { StoredHeads($0, layers: layers.count, keyValueHeads: kind.keyValueHeads) }
      if let window = kind.window {
        windowed.append(
          GroupPart(plan: KVCache.Plan { Window(window) }, heads: stored(heads), attention: kind))
      } else if let division {
        let split = try division.heads(layers: layers.count, keyValueHeads: kind.keyValueHeads)
        for (heads, plan) in [(split.full, self), (split.others, KVCache.Plan(stages: division.others))] {
          let own = heads.filter { members.contains($0 / kind.keyValueHeads) }
          if !own.isEmpty { ruled.append(GroupPart(plan: plan, heads: stored(own), attention: kind)) }
        }
      } else {
        ruled.append(GroupPart(plan: self, heads: stored(heads), attention: kind))
      }
    }
    return ruled + windowed
  }

  private func kinds(of layers: [AttentionLayer]) -> [AttentionLayer] {
    layers.reduce(into: []) { kinds, layer in
      if !kinds.contains(where: { $0.hasSameMemory(as: layer) }) { kinds.append(layer) }
    }
  }
}

extension AttentionLayer {
  /// Whether two layers can follow the same stages: whether keys, values and positions are alike.
  fileprivate func hasSameMemory(as other: AttentionLayer) -> Bool {
    queryHeads == other.queryHeads && keyValueHeads == other.keyValueHeads && headDim == other.headDim
      && positions == other.positions && window == other.window && scale == other.scale && softCap == other.softCap
  }
}
