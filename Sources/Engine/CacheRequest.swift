package import KVCaches
package import Models

/// What `--cache` asks for: a plan, or one that is chosen for the model.
package enum CacheRequest: Sendable {
  case plan(KVCache.Plan)
  /// A specification as it was written: what a preset leaves open is the model's.
  case written(String, PlanResolver)
  case automatic(AutomaticCache)

  /// What a model's sequences get.
  package struct Resolved: Sendable {
    package let plan: KVCache.Plan
    package let slotType: KVCache.SlotType
    /// Why it was chosen; nil where it was asked for.
    package let reason: String?
  }

  /// - Throws: `KVCacheError` where the specification cannot be read.
  package init(_ specification: String, resolver: PlanResolver = .none) throws(KVCacheError) {
    if let automatic = try AutomaticCache(specification) {
      self = .automatic(automatic)
    } else {
      // What is wrong for every model is said before one is loaded.
      let anything = TrainedMemory(segments: TrainedMemory.Segments(size: 1))
      _ = try KVCache.Plan(specification, resolver: resolver.model(anything))
      self = .written(specification, resolver)
    }
  }

  /// - Parameter slotType: The type that was asked for; without one a plan's slots are F16, and a choice is free.
  /// - Throws: `KVCacheError` where nothing of so few bytes can be made for the model.
  package func resolved(
    for configuration: ModelConfiguration, slotType: KVCache.SlotType?
  ) throws(KVCacheError) -> Resolved {
    switch self {
    case .plan(let plan): return Resolved(plan: plan, slotType: slotType ?? .float16, reason: nil)
    case .written(let specification, let resolver):
      let plan = try KVCache.Plan(specification, resolver: resolver.model(configuration.memory))
      return Resolved(plan: plan, slotType: slotType ?? .float16, reason: nil)
    case .automatic(let automatic):
      if let plan = configuration.memory.segments?.plan {
        return Resolved(plan: plan, slotType: slotType ?? .float16, reason: "the model was trained with this cache")
      }
      let choice = try automatic.choose(
        layers: configuration.layers, trainedLength: configuration.trainedLength, slotType: slotType)
      return Resolved(plan: choice.plan, slotType: choice.slotType, reason: choice.reason)
    }
  }
}
