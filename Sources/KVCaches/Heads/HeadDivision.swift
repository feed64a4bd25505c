/// That some heads of a model follow other stages than others, as in DuoAttention (Xiao et al., "Efficient Long-Context LLM
/// Inference with Retrieval and Streaming Heads", arXiv 2410.10819).
struct HeadDivision: Sendable {
  /// Heads that follow the same stages.
  struct Part {
    var plan: KVCache.Plan
    var heads: StoredHeads
  }

  /// The whole cache as a specification.
  let description: String
  /// How much each head needs the whole text: those that need it most follow the plan's stages.
  let mask: HeadMask
  /// The share of all heads that follow `others`.
  let share: Double
  let others: [any StageSpecification]

  /// The heads of each part for a model, those that keep most first.
  ///
  /// - Throws: `KVCacheError` where the mask is one for another model, or leaves all heads alike.
  func parts(of plan: KVCache.Plan, shape: KVCache.Shape) throws(KVCacheError) -> [Part] {
    let division = try heads(shape)
    return [
      Part(plan: plan, heads: StoredHeads(division.full, of: shape)),
      Part(plan: KVCache.Plan(stages: others), heads: StoredHeads(division.others, of: shape)),
    ]
  }

  private func heads(_ shape: KVCache.Shape) throws(KVCacheError) -> (full: [Int], others: [Int]) {
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
