import Kernels

/// What a cache takes, known before it is made.
extension KVCache {
  /// The exact bytes a cache takes after `tokens` tokens, known without making it; before a prompt of so many is voted on.
  ///
  /// 0 where the plan is one for another model, or its heads cannot be stored in the type.
  public static func bytes(plan: Plan, shape: Shape, slotType: SlotType, tokens: Int) -> Int {
    bytes(plan: plan, layers: shape.layers(positions: .none), slotType: slotType, tokens: tokens)
  }

  /// The exact bytes a cache takes after `tokens` tokens for a model of these layers.
  package static func bytes(plan: Plan, layers: [AttentionLayer], slotType: SlotType, tokens: Int) -> Int {
    guard let parts = try? plan.parts(for: layers), parts.allSatisfy({ $0.supports(slotType) }) else { return 0 }
    return parts.reduce(RecurrentLayout(layers).bytes) { $0 + $1.bytes(slotType, tokens: tokens) }
  }

  /// The exact bytes of the keys and values of one token in all layers.
  ///
  /// 0 where the type cannot store heads of that size.
  public static func bytesPerToken(shape: Shape, slotType: SlotType) -> Int {
    guard SlotStorage.supports(type: slotType.elementType, headDim: shape.headDim) else { return 0 }
    return StageStorage.headBytes(type: slotType.elementType, headDim: shape.headDim, slots: 16) / 16 * shape.layers
      * shape.keyValueHeads
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
  /// - Throws: `KVCacheError` where a cache of the plan could not be made for the model.
  package static func stages(
    of plan: Plan, layers: [AttentionLayer], slotType: SlotType, tokens: Int
  ) throws(KVCacheError) -> [StageBytes] {
    let parts = try plan.parts(for: layers)
    for part in parts { try HeadGroup.check(part, slotType: slotType) }
    return parts.flatMap { part in
      part.plan.stages.map { stage in
        let slots = (stage.capacity ?? tokens) * part.heads.count * part.bytesPerSlot(slotType)
        let absorbed = stage.blueprint.absorbs ? stage.blueprint.states : []
        let beside = absorbed.reduce(0) { $0 + $1.bytes(part.site(slotType), tokens: tokens) }
        return StageBytes(
          description: stage.description, heads: part.heads.count, tokens: stage.capacity, bytes: slots + beside)
      }
    }
  }
}

extension GroupPart {
  /// Whether the heads can be stored in the type.
  func supports(_ slotType: KVCache.SlotType) -> Bool {
    SlotStorage.supports(type: slotType.elementType, headDim: attention.headDim)
  }

  /// - Throws: `KVCacheError` where the heads cannot be stored in the type.
  func check(_ slotType: KVCache.SlotType) throws(KVCacheError) {
    guard supports(slotType) else {
      throw .badSpecification(
        plan.description, "slots of type \(slotType.rawValue) do not fit heads of \(attention.headDim) dimensions")
    }
  }

  /// The exact bytes of the part after `tokens` tokens.
  fileprivate func bytes(_ slotType: KVCache.SlotType, tokens: Int) -> Int {
    let slots = SlotStore.bytes(
      plan.stages, type: slotType.elementType, heads: heads.count, headDim: attention.headDim, tokens: tokens)
    return plan.states.reduce(slots) { $0 + $1.bytes(site(slotType), tokens: tokens) }
  }

  /// The bytes of one head's key and value.
  fileprivate func bytesPerSlot(_ slotType: KVCache.SlotType) -> Int {
    StageStorage.headBytes(type: slotType.elementType, headDim: attention.headDim, slots: 16) / 16
  }
}
