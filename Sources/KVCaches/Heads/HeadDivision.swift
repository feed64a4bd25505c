/// That some heads of a model follow other stages than those of the plan, as in DuoAttention (Xiao et al., "Efficient
/// Long-Context LLM Inference with Retrieval and Streaming Heads", arXiv 2410.10819).
struct HeadDivision: Sendable {
  /// Heads that follow the same stages.
  struct Part {
    var plan: KVCache.Plan
    var heads: StoredHeads
  }

  /// The whole cache as a specification.
  let description: String
  /// Which heads need the whole text.
  let mask: HeadMask
  /// The share of heads that follow `others`.
  let share: Double
  let others: [any StageSpecification]

  /// The heads of each part for a model, those of the plan's own stages first.
  ///
  /// - Throws: `KVCacheError` where the mask is one for another model, or leaves all heads alike.
  func parts(of plan: KVCache.Plan, shape: KVCache.Shape) throws(KVCacheError) -> [Part] {
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
    return [
      Part(plan: plan, heads: StoredHeads(division.full, of: shape)),
      Part(plan: KVCache.Plan(stages: others), heads: StoredHeads(division.others, of: shape)),
    ]
  }
}
