import Kernels

/// The memory of one sequence: stages that a token falls through, with the keys and values they hold.
///
/// Not thread safe: one step at a time. All bytes of a bounded plan are allocated when the cache is made, and their
/// number is known before (`bytes(plan:shape:slotType:tokens:)`).
public final class KVCache {
  public let plan: Plan
  public let shape: Shape
  public let slotType: SlotType
  package let positions: PositionEncoding

  /// Tokens that ever entered, which is the place in the stream of the next one.
  public private(set) var tokenCount: Int64 = 0

  var stages: [any Stage]
  var storage: [StageStorage]
  /// The decisions for the chunk under way.
  private(set) var step: StepPlan

  /// The plan's capacity where its window slides exactly, else nil.
  private let slidingCapacity: Int?
  /// A chunk of at most so many tokens writes no slot twice.
  private let smallestRing: Int

  /// An empty cache.
  ///
  /// - Throws: `KVCacheError` where the slot type does not fit the model's head size.
  package init(
    plan: Plan, shape: Shape, slotType: SlotType = .float16, positions: PositionEncoding
  ) throws(KVCacheError) {
    try Self.check(plan: plan, shape: shape, slotType: slotType)
    self.plan = plan
    self.shape = shape
    self.slotType = slotType
    self.positions = positions
    stages = plan.stages.map { $0.makeStage() }
    storage = stages.map { StageStorage(type: slotType.elementType, shape: shape, capacity: $0.capacity) }
    step = StepPlan(slotsPerBlock: storage.map(\.slotsPerBlock))
    slidingCapacity = plan.slidesExactly ? plan.capacity : nil
    smallestRing = plan.slidesExactly ? stages.filter { !$0.holdsStreamStart }.compactMap(\.capacity).min() ?? .max : 0
  }

  private static func check(plan: Plan, shape: Shape, slotType: SlotType) throws(KVCacheError) {
    guard SlotStorage.supports(type: slotType.elementType, headDim: shape.headDim) else {
      throw .badSpecification(
        plan.description, "slots of type \(slotType.rawValue) do not fit heads of \(shape.headDim) dimensions")
    }
  }

  /// The exact bytes a cache takes after `tokens` tokens, known without making it.
  public static func bytes(plan: Plan, shape: Shape, slotType: SlotType, tokens: Int) -> Int {
    var (total, reaching) = (0, tokens)
    for stage in plan.stages {
      total += bytes(stage: stage, shape: shape, slotType: slotType, tokens: reaching)
      reaching = max(0, reaching - (stage.capacity ?? reaching))
    }
    return total
  }

  /// The exact bytes of one stage of a cache after `tokens` tokens reached it.
  public static func bytes(
    stage: any StageSpecification, shape: Shape, slotType: SlotType, tokens: Int
  ) -> Int {
    let block = StageStorage.blockBytes(type: slotType.elementType, shape: shape, capacity: stage.capacity)
    guard stage.capacity == nil else { return block }
    return (tokens + StageStorage.growthSlots - 1) / StageStorage.growthSlots * block
  }

  /// Bytes of keys and values held now.
  public var bytes: Int { storage.reduce(0) { $0 + $1.bytes } }

  /// Tokens held now.
  public var heldTokens: Int {
    var held = 0
    for stage in stages { held += stage.count }
    return held
  }

  /// Forgets everything; a bounded cache keeps its memory, with zeros in it.
  public func reset() {
    tokenCount = 0
    for index in storage.indices {
      if stages[index].capacity == nil {
        storage[index] = StageStorage(type: slotType.elementType, shape: shape, capacity: nil)
      } else {
        // What one conversation left would end up in the snapshots of the next: they save whole panels.
        forEachUsedRange(of: storage[index], slots: stages[index].usedSlots) { $0.initializeMemory(as: UInt8.self, repeating: 0) }
      }
    }
    stages = plan.stages.map { $0.makeStage() }
  }

  /// How many of `wanted` tokens the next chunk may have.
  ///
  /// Sinks that arrive in the same chunk as the first eviction would have two distances; such a chunk is cut where
  /// the cache is full.
  package func admissibleChunk(_ wanted: Int) -> Int {
    guard let slidingCapacity, let first = stages.first, first.holdsStreamStart,
      first.count < first.capacity ?? .max, heldTokens + wanted > slidingCapacity
    else { return wanted }
    return slidingCapacity - heldTokens
  }

  /// Decides what a chunk reads and where its tokens go, and counts them in. Allocates nothing once it has seen a chunk
  /// of that size, unless a stage without bound grows.
  ///
  /// - Precondition: `tokens` is at most `admissibleChunk(tokens)`.
  package func beginStep(tokens: Int) {
    precondition(tokens > 0 && tokens <= admissibleChunk(tokens), "a chunk the cache does not admit")
    planReads(chunk: tokens)
    planMoves(chunk: tokens)
    tokenCount += Int64(tokens)
    for index in stages.indices { storage[index].reserve(slots: stages[index].usedSlots) }
  }

  private func planReads(chunk: Int) {
    var rollingTokens = 0
    for stage in stages where !stage.holdsStreamStart { rollingTokens += stage.count }
    var context = ReadContext(
      stage: 0, chunk: chunk, heldTokens: heldTokens, newerTokens: 0, olderTokens: rollingTokens,
      slidingCapacity: slidingCapacity)
    step.reset(chunkOffset: slidingCapacity.map { heldTokens + 1 - $0 - rollingTokens } ?? -chunk)
    _ = step.index(of: StepPlan.QueryClock(first: tokenCount))
    for index in stages.indices {
      context.stage = index
      let count = stages[index].holdsStreamStart ? 0 : stages[index].count
      context.olderTokens -= count
      let firstReading = step.readings.count
      stages[index].read(context, into: &step)
      if case .linearBias = positions { step.measure(from: firstReading, stage: stages[index]) }
      context.newerTokens += count
    }
  }

  private func planMoves(chunk: Int) {
    let slotsMayRepeat = chunk > smallestRing
    for token in 0..<chunk {
      var source = StepPlan.Move.Source.chunk(token: token)
      var clock = tokenCount + Int64(token)
      let firstMove = step.moves.count
      walk: for index in stages.indices {
        switch stages[index].accept(clock: clock) {
        case .pass: continue
        case .take(let slot, let newClock):
          step.append(StepPlan.Move(source: source, stage: index, slot: slot, clock: newClock))
          break walk
        case .exchange(let slot, let newClock, let fallingClock):
          step.append(StepPlan.Move(source: source, stage: index, slot: slot, clock: newClock))
          source = .slot(stage: index, slot: slot, clock: fallingClock)
          clock = fallingClock
        }
      }
      step.orderMoves(from: firstMove, slotsMayRepeat: slotsMayRepeat)
    }
  }

  /// Takes up a state saved in a snapshot.
  func restore(tokenCount: Int64, stages: [any Stage]) {
    self.tokenCount = tokenCount
    self.stages = stages
    for index in stages.indices { storage[index].reserve(slots: stages[index].usedSlots) }
  }
}
