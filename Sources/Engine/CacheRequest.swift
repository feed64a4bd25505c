package import KVCaches
package import Models

/// What `--cache` asks for, before the model is known that it is for.
package struct CacheRequest: Sendable {
  private let specification: String
  private let automatic: AutomaticCache?
  private let resolver: PlanResolver

  /// What a model's sequences get.
  package struct Resolved: Sendable {
    package let plan: KVCache.Plan
    package let slotType: KVCache.SlotType
    /// Why it was chosen; nil where it was asked for.
    package let reason: String?

    package init(plan: KVCache.Plan, slotType: KVCache.SlotType, reason: String?) {
      (self.plan, self.slotType, self.reason) = (plan, slotType, reason)
    }
  }

  /// - Throws: `KVCacheError` where the specification is wrong for every model.
  package init(_ specification: String, resolver: PlanResolver = .none) throws(KVCacheError) {
    (self.specification, self.resolver) = (specification, resolver)
    automatic = try AutomaticCache(specification)
    guard automatic == nil else { return }
    let anything = TrainedMemory(segments: TrainedMemory.Segments(size: 1))
    _ = try KVCache.Plan(specification, resolver: resolver.model(anything))
  }

  /// The plan for a model; what a preset leaves open is what the model was trained with.
  ///
  /// - Parameter slotType: The type that was asked for; without one a plan's slots are F16, and a choice is free.
  /// - Throws: `KVCacheError` where the plan is for other models, or nothing of so few bytes can be made.
  package func resolved(
    for configuration: ModelConfiguration, slotType: KVCache.SlotType?
  ) throws(KVCacheError) -> Resolved {
    guard let automatic else {
      let plan = try KVCache.Plan(specification, resolver: resolver.model(configuration.memory))
      return Resolved(plan: plan, slotType: slotType ?? .float16, reason: nil)
    }
    let choice = try automatic.choose(
      layers: configuration.layers, trainedLength: configuration.trainedLength, memory: configuration.memory,
      slotType: slotType)
    return Resolved(plan: choice.plan, slotType: choice.slotType, reason: choice.reason)
  }
}
