/// A stage in which tokens melt together, behind stages that keep tokens apart.
protocol MeltingSpecification: StageSpecification {
  /// An empty summary; its bytes are those of `summaryBytes`.
  func makeSummary(shape: KVCache.Shape, slotType: KVCache.SlotType) -> StageSummary

  /// The bytes of a summary, known without making it.
  func summaryBytes(shape: KVCache.Shape, slotType: KVCache.SlotType) -> Int

  /// Over how many positions behind the nearest one clipped tokens are taken to be spread, evenly; 0 where all stand there.
  var distanceSpread: Int { get }
}

extension MeltingSpecification {
  /// A melting stage has no slots of its own in the storage that other stages share.
  public var capacity: Int? { 0 }
  public var evictsInOrder: Bool { false }
  public func makeStage() -> any Stage { MeltingStage(isClipped: distance == .clipped, spread: distanceSpread) }
  var distanceSpread: Int { 0 }
}

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
    return .melt(clock: isClipped ? 0 : nil)
  }

  func read(_ context: ReadContext, into step: inout StepPlan) {
    guard melted > 0 else { return }
    let clock =
      isClipped
      ? StepPlan.QueryClock(first: Int64(context.newerTokens) + 1, spread: Int64(spread))
      : StepPlan.QueryClock(first: context.streamPosition)
    step.readSummary(stage: context.stage, clock: clock)
  }

  func clock(ofSlot slot: Int) -> Int64 { preconditionFailure("melted tokens have no slots") }

  var state: [Int64] { [melted] }

  mutating func restore(_ state: [Int64]) throws(KVCacheError) {
    guard state.count == 1, state[0] >= 0 else { throw .badSnapshot("impossible count of melted tokens") }
    melted = state[0]
  }
}
