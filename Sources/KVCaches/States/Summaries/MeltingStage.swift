/// The bookkeeping of a stage in which tokens melt together: everything that arrives melts in.
struct MeltingStage: Stage {
  let isClipped: Bool
  let spread: Int
  /// Tokens that ever melted in.
  private(set) var melted: Int64 = 0

  init(isClipped: Bool, spread: Int = 0) {
    self.isClipped = isClipped
    self.spread = spread
  }

  var capacity: Int? { 0 }
  var count: Int { 0 }
  var usedSlots: Int { 0 }

  mutating func accept(_ arrival: Arrival) -> Acceptance {
    melted += 1
    return .absorb(clock: isClipped ? 0 : nil)
  }

  func read(_ context: ReadContext, into step: inout StepPlan) {
    guard melted > 0 else { return }
    let clock =
      isClipped
      ? StepPlan.QueryClock(first: Int64(context.newerTokens) + 1, spread: Int64(spread))
      : StepPlan.QueryClock(first: context.streamPosition)
    step.readState(stage: context.stage, clock: clock)
  }

  func clock(ofSlot slot: Int) -> Int64 { preconditionFailure("melted tokens have no slots") }

  var counters: [Int64] { [melted] }

  mutating func restore(_ counters: [Int64]) throws(KVCacheError) {
    guard counters.count == 1, counters[0] >= 0 else { throw .badSnapshot("impossible count of melted tokens") }
    melted = counters[0]
  }
}
