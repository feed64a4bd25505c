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
  /// Layers with a native window keep that window and nothing else, whatever the plan; the plan rules the others. The groups are
  /// the same whichever heads of them are stored.
  ///
  /// - Throws: `KVCacheError` where the plan is one for another model.
  func parts(for layers: [AttentionLayer], storing share: HeadShare = .all) throws(KVCacheError) -> [GroupPart] {
    guard layers.contains(where: { $0.window == nil && $0.keepsKeys }) else {
      throw .badSpecification(description, "no layer of this model is without a window of its own")
    }
    var (ruled, windowed): ([GroupPart], [GroupPart]) = ([], [])
    for kind in kinds(of: layers) {
      let alike = layers.indices.filter { kind.hasSameMemory(as: layers[$0]) }
      let members = alike.filter { layers[$0].keepsKeys }
      var sharing: [Int: Int] = [:]
      for reader in alike where !members.contains(reader) { sharing[reader] = layers[reader].keysOfLayer }
      // What a step brings to a layer that others read is kept until the last of them has read it, and no longer.
      guard sharing.allSatisfy({ $0.value == members.last && $0.value < $0.key }) else {
        throw .badSpecification(description, "a layer reads keys that are not those of the last layer of its kind")
      }
      let heads = members.flatMap { $0 * kind.keyValueHeads..<($0 + 1) * kind.keyValueHeads }
      let range = share.heads(of: kind.keyValueHeads)
      let stored = { (heads: [Int]) in
        StoredHeads(
          heads.filter { range.contains($0 % kind.keyValueHeads) }, layers: layers.count,
          keyValueHeads: kind.keyValueHeads, sharing: sharing)
      }
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
      if layer.recurrence == nil, !kinds.contains(where: { $0.hasSameMemory(as: layer) }) { kinds.append(layer) }
    }
  }
}

extension AttentionLayer {
  /// Whether two layers can follow the same stages: whether keys, values and positions are alike.
  fileprivate func hasSameMemory(as other: AttentionLayer) -> Bool {
    queryHeads == other.queryHeads && keyValueHeads == other.keyValueHeads && headDim == other.headDim
      && positions == other.positions && window == other.window && scale == other.scale && softCap == other.softCap
      && temperature == other.temperature
  }
}
