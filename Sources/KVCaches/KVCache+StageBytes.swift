extension KVCache {
  /// What a stage of a plan takes in the heads that follow it.
  package struct StageBytes: Sendable {
    /// The stage as a specification writes it.
    package let description: String
    /// KV heads, of all layers together.
    package let heads: Int
    /// The most tokens that are held apart, or nil where the stage grows.
    package let tokens: Int?
    /// Of all its heads; of a stage that grows, for as many tokens as were asked for.
    package let bytes: Int
  }

  /// The stages of a plan for a model, those of all heads one after another.
  ///
  /// - Parameter tokens: what a stage that grows is taken to hold.
  /// - Throws: `KVCacheError` where the plan is one for another model.
  package static func stages(
    of plan: Plan, shape: Shape, slotType: SlotType, tokens: Int
  ) throws(KVCacheError) -> [StageBytes] {
    try plan.parts(for: shape).flatMap { part in
      let shape = part.heads.shape
      return part.plan.stages.map { stage in
        let slots = (stage.capacity ?? tokens) * bytesPerToken(shape: shape, slotType: slotType)
        let summary = (stage as? any MeltingSpecification)?.summaryBytes(shape: shape, slotType: slotType) ?? 0
        return StageBytes(
          description: stage.description, heads: part.heads.count, tokens: stage.capacity, bytes: slots + summary)
      }
    }
  }
}
