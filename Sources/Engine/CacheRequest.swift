package import KVCaches
package import Models

/// What `--cache` asks for: a plan, or one that is chosen for the model.
package enum CacheRequest: Sendable {
  case plan(KVCache.Plan)
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
      self = .plan(try KVCache.Plan(specification, resolver: resolver))
    }
  }

  /// - Parameter slotType: The type that was asked for; without one a plan's slots are F16, and a choice is free.
  /// - Throws: `KVCacheError` where nothing of so few bytes can be made for the model.
  package func resolved(
    for configuration: ModelConfiguration, slotType: KVCache.SlotType?
  ) throws(KVCacheError) -> Resolved {
    switch self {
    case .plan(let plan): return Resolved(plan: plan, slotType: slotType ?? .float16, reason: nil)
    case .automatic(let automatic):
      let choice = try automatic.choose(
        layers: configuration.layers, trainedLength: configuration.trainedLength, slotType: slotType)
      return Resolved(plan: choice.plan, slotType: choice.slotType, reason: choice.reason)
    }
  }
}
