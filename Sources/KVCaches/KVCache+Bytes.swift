import Kernels

/// What a cache takes, known before it is made and counted while it lives.
extension KVCache {
  /// The exact bytes a cache takes after `tokens` tokens, known without making it; before a prompt of so many is voted on.
  ///
  /// 0 where the plan is one for another model.
  public static func bytes(plan: Plan, shape: Shape, slotType: SlotType, tokens: Int) -> Int {
    guard let parts = try? plan.parts(for: shape) else { return 0 }
    return parts.reduce(0) {
      $0 + partBytes(plan: $1.plan, shape: $1.heads.shape, slotType: slotType, tokens: tokens)
    }
  }

  private static func partBytes(plan: Plan, shape: Shape, slotType: SlotType, tokens: Int) -> Int {
    let block = { StageStorage.blockBytes(type: slotType.elementType, shape: shape, capacity: $0) }
    let bounded = plan.stages.compactMap(\.capacity).reduce(0, +)
    var total = bounded > 0 ? block(bounded) : 0
    if plan.scoring != nil {
      total += shape.layers * shape.keyValueHeads * StageStorage.slotsPerBlock(capacity: bounded) * 4
    }
    total += plan.melting?.summaryBytes(shape: shape, slotType: slotType) ?? 0
    if let voters = plan.prompt?.voters, voters > 0 { total += ObservationWindow.bytes(size: voters, shape: shape) }
    if plan.capacity == nil {
      let growing = max(0, tokens - bounded)
      let bounds = plan.pageReading.map { PageBounds.blockBytes($0, shape: shape) } ?? 0
      total += (growing + StageStorage.growthSlots - 1) / StageStorage.growthSlots * (block(nil) + bounds)
    }
    return total
  }

  /// The exact bytes of the keys and values of one token in all layers.
  public static func bytesPerToken(shape: Shape, slotType: SlotType) -> Int {
    StageStorage.blockBytes(type: slotType.elementType, shape: shape, capacity: 16) / 16
  }

  /// Bytes of keys, values, what they melted into, what decides on them (scores, queries, bounds of pages), and of the log
  /// from which they are taken back, held now.
  public var bytes: Int {
    let decisions = (scores?.count ?? 0) * 4 + (observation?.bytes ?? 0) + (pageBounds?.bytes ?? 0)
    let own = storage.reduce(decisions + (summary?.bytes ?? 0) + (undoLog?.bytes ?? 0)) { $0 + $1.bytes }
    return companions.reduce(own) { $0 + $1.bytes }
  }

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
