/// That some heads of a model follow other stages than others, as in DuoAttention (Xiao et al., "Efficient Long-Context LLM
/// Inference with Retrieval and Streaming Heads", arXiv 2410.10819).
///
/// Deviations of the preset `duo-attention`: the others read sinks at positions inside the cache, where the authors' stand at the
/// stream's start (`positions=original`); it has 16+240 tokens for them, the authors run 64+256.
struct HeadDivision: Sendable {
  /// The whole cache as a specification.
  let description: String
  /// How much each head needs the whole text: those that need it most follow the plan's stages.
  let mask: HeadMask
  /// The share of all heads that follow `others`.
  let share: Double
  let others: [any StageSpecification]

  /// The heads that follow the plan's stages, and the others, each given by `layer * KV heads + head`.
  ///
  /// - Throws: `KVCacheError` where the mask is one for another model, or leaves all heads alike.
  func heads(layers count: Int, keyValueHeads: Int) throws(KVCacheError) -> (full: [Int], others: [Int]) {
    let (layers, heads) = (mask.needs.count, mask.needs[0].count)
    guard layers == count, heads == keyValueHeads else {
      throw .badSpecification(
        description,
        "the file is for \(layers) layers of \(heads) KV heads, the model has \(count) of \(keyValueHeads)"
      )
    }
    let division = mask.heads(sparing: share)
    guard !division.full.isEmpty, !division.others.isEmpty else {
      throw .badSpecification(description, "a sparsity of \(share) leaves all heads alike")
    }
    return division
  }
}
