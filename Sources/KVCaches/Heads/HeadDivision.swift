/// That some heads of a model follow other stages than others.
///
/// By a file, as in DuoAttention (Xiao et al., "Efficient Long-Context LLM Inference with Retrieval and Streaming Heads",
/// arXiv 2410.10819), or by layer, in the shape of PyramidKV (Cai et al., arXiv 2406.02069).
struct HeadDivision: Sendable {
  /// Heads that follow the same stages.
  struct Part {
    var plan: KVCache.Plan
    var heads: StoredHeads
  }

  enum Rule: Sendable {
    /// Heads that need the whole text follow the plan's stages, this share of all heads the others.
    case mask(HeadMask, share: Double, others: [any StageSpecification])
    /// Lower layers get more slots, higher ones fewer, `mean` in the mean.
    case pyramid(mean: Int, stages: @Sendable (_ budget: Int) throws(KVCacheError) -> [any StageSpecification])
  }

  /// The whole cache as a specification.
  let description: String
  let rule: Rule

  /// The heads of each part for a model, those that keep most first.
  ///
  /// - Throws: `KVCacheError` where a mask is one for another model, or leaves all heads alike, or where a layer's budget is
  ///   too small for the stages.
  func parts(of plan: KVCache.Plan, shape: KVCache.Shape) throws(KVCacheError) -> [Part] {
    switch rule {
    case .mask(let mask, let share, let others):
      let division = try heads(of: mask, share: share, shape)
      return [
        Part(plan: plan, heads: StoredHeads(division.full, of: shape)),
        Part(plan: KVCache.Plan(stages: others), heads: StoredHeads(division.others, of: shape)),
      ]
    case .pyramid(let mean, let stages):
      let budgets = PromptChoice.budgets(.pyramid, mean: mean, available: .max, layers: shape.layers)
      var parts: [Part] = []
      for budget in Set(budgets).sorted(by: >) {
        let layers = budgets.indices.filter { budgets[$0] == budget }
        let heads = layers.flatMap { $0 * shape.keyValueHeads..<($0 + 1) * shape.keyValueHeads }
        // The first part speaks for the whole cache.
        parts.append(
          Part(
            plan: KVCache.Plan(stages: try stages(budget), division: parts.isEmpty ? self : nil),
            heads: StoredHeads(heads, of: shape)))
      }
      return parts
    }
  }

  private func heads(
    of mask: HeadMask, share: Double, _ shape: KVCache.Shape
  ) throws(KVCacheError) -> (full: [Int], others: [Int]) {
    let (layers, heads) = (mask.needs.count, mask.needs[0].count)
    guard layers == shape.layers, heads == shape.keyValueHeads else {
      throw .badSpecification(
        description,
        "the file is for \(layers) layers of \(heads) KV heads, the model has \(shape.layers) of \(shape.keyValueHeads)"
      )
    }
    let division = mask.heads(sparing: share)
    guard !division.full.isEmpty, !division.others.isEmpty else {
      throw .badSpecification(description, "a sparsity of \(share) leaves all heads alike")
    }
    return division
  }
}
