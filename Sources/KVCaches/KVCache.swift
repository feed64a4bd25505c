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

  /// The heads whose tokens are held here.
  let heads: StoredHeads
  /// The caches of the other heads, of a plan in which heads differ; they take in every chunk as this one does.
  let companions: [KVCache]

  /// Tokens that ever entered, which is the place in the stream of the next one.
  public private(set) var tokenCount: Int64 = 0

  var stages: [any Stage]
  var storage: [StageStorage]
  /// Where the slots of each stage lie.
  let places: [StagePlace]
  /// The decisions for the chunk under way.
  private(set) var step: StepPlan

  /// The score of every slot of a cache that scores its tokens, `[layer, KV head, slot]`.
  let scores: Buffer<Float>?

  /// The newest tokens' queries, of a cache in which a prompt ends with a vote; nil once no vote can come.
  private(set) var observation: ObservationWindow?

  /// After how many tokens a cache of centers is compressed again, nil where it never is.
  let recompression: Int?

  /// The bounds of the last stage's pages, of a cache that reads only some of them.
  private(set) var pageBounds: PageBounds?

  /// What remains of the tokens that melted together in the last stage, of a cache that has such a stage.
  private(set) var summary: StageSummary?

  /// Which tokens the slots hold, where someone asked for it.
  private(set) var tokenRecord: TokenRecord?

  /// What the newest steps overwrote, where someone asked for it.
  var undoLog: UndoLog?

  /// The plan's capacity where its window slides exactly, else nil.
  private let slidingCapacity: Int?
  /// The plan's capacity where a token that comes alone sees a window that slides exactly, else nil.
  private let capacityOfOne: Int?
  private let usesOriginalPositions: Bool
  /// Slots of all stages, nil where the cache grows.
  let capacity: Int?
  /// Whether tokens melt without position.
  let meltsClipped: Bool
  private let sinkCount: Int
  /// The stages whose tokens stand in order, `[stage]`.
  private let keepsOrder: [Bool]
  /// A chunk of at most so many tokens writes no slot twice.
  private let smallestRing: Int

  /// An empty cache.
  ///
  /// - Throws: `KVCacheError` where the slot type does not fit the model's head size.
  package convenience init(
    plan: Plan, shape: Shape, slotType: SlotType = .float16, positions: PositionEncoding
  ) throws(KVCacheError) {
    var companions: [KVCache] = []
    let parts = try plan.parts(for: shape)
    for part in parts.dropFirst() {
      companions.append(try KVCache(part, companions: [], slotType: slotType, positions: positions))
    }
    try self.init(parts[0], companions: companions, slotType: slotType, positions: positions)
  }

  private init(
    _ part: HeadDivision.Part, companions: [KVCache], slotType: SlotType, positions: PositionEncoding
  ) throws(KVCacheError) {
    let (plan, shape) = (part.plan, part.heads.model)
    self.plan = plan
    self.shape = shape
    heads = part.heads
    self.companions = companions
    try Self.check(plan: plan, shape: shape, slotType: slotType, positions: positions)
    self.slotType = slotType
    self.positions = positions
    stages = plan.stages.map { $0.makeStage() }
    (storage, places) = Self.makeStorage(stages, shape: heads.shape, type: slotType.elementType)
    step = StepPlan(places: places)
    let scoredSlots = heads.count * storage[0].slotsPerBlock
    scores = plan.scoring == nil ? nil : Buffer(count: scoredSlots)
    observation = Self.makeObservation(plan, shape: shape)
    recompression = plan.prompt?.recompression
    pageBounds = plan.pageReading.map { PageBounds($0, shape: shape) }
    summary = plan.melting?.makeSummary(shape: heads.shape, slotType: slotType)
    keepsOrder = plan.stages.map { $0.distance != .clipped }
    slidingCapacity = plan.slidesExactly ? plan.capacity : nil
    capacityOfOne = plan.evictsInOrder ? plan.capacity : nil
    usesOriginalPositions = plan.usesOriginalPositions
    capacity = plan.capacity
    meltsClipped = plan.melting?.distance == .clipped
    sinkCount = plan.sinkCount
    smallestRing = plan.slidesExactly ? stages.filter { !$0.holdsStreamStart }.compactMap(\.capacity).min() ?? .max : 0
  }

  private static func makeObservation(_ plan: Plan, shape: Shape) -> ObservationWindow? {
    guard let voters = plan.prompt?.voters, voters > 0 else { return nil }
    return ObservationWindow(size: voters, shape: shape)
  }

  private static func check(
    plan: Plan, shape: Shape, slotType: SlotType, positions: PositionEncoding
  ) throws(KVCacheError) {
    if case .linearBias = positions, plan.usesOriginalPositions {
      let advice = plan.prompt == nil ? "; write positions=clipped" : ""
      throw .badSpecification(
        plan.description, "a model with ALiBi needs to know which token stands where" + advice)
    }
    guard SlotStorage.supports(type: slotType.elementType, headDim: shape.headDim) else {
      throw .badSpecification(
        plan.description, "slots of type \(slotType.rawValue) do not fit heads of \(shape.headDim) dimensions")
    }
  }

  private static func makeStorage(
    _ stages: [any Stage], shape: Shape, type: ElementType
  ) -> ([StageStorage], [StagePlace]) {
    var storage: [StageStorage] = []
    let bounded = stages.compactMap(\.capacity)
    if !bounded.isEmpty { storage.append(StageStorage(type: type, shape: shape, capacity: bounded.reduce(0, +))) }
    var places: [StagePlace] = []
    var offset = 0
    for stage in stages {
      if let capacity = stage.capacity {
        places.append(StagePlace(storage: 0, offset: offset, slotsPerBlock: storage[0].slotsPerBlock))
        offset += capacity
      } else {
        storage.append(StageStorage(type: type, shape: shape, capacity: nil))
        places.append(
          StagePlace(storage: storage.count - 1, offset: 0, slotsPerBlock: storage[storage.count - 1].slotsPerBlock))
      }
    }
    return (storage, places)
  }

  /// Tokens held apart now, by the heads that keep most.
  public var heldTokens: Int {
    var held = 0
    for stage in stages { held += stage.count }
    return held
  }

  /// Forgets everything; a bounded cache keeps its memory, with zeros in it.
  public func reset() {
    for companion in companions { companion.reset() }
    tokenCount = 0
    tokenRecord?.reset()
    undoLog?.clear()
    scores?.elements.update(repeating: 0)
    summary?.reset()
    if let observation {
      observation.reset()
    } else {
      observation = Self.makeObservation(plan, shape: shape)
    }
    for index in storage.indices {
      // What one conversation left would end up in the snapshots of the next: they save whole panels.
      forEachUsedRange(of: storage[index], slots: usedSlots(of: index, by: stages)) {
        $0.initializeMemory(as: UInt8.self, repeating: 0)
      }
    }
    for (stage, place) in zip(stages, places) where stage.capacity == nil {
      storage[place.storage] = StageStorage(type: slotType.elementType, shape: heads.shape, capacity: nil)
    }
    pageBounds = plan.pageReading.map { PageBounds($0, shape: shape) }
    stages = plan.stages.map { $0.makeStage() }
  }

  /// Has the cache note which tokens its slots hold from now on, for `heldTokens(layer:head:)`.
  ///
  /// Takes 8 bytes a slot, in every head of a cache that scores its tokens; without it nothing is noted.
  ///
  /// - Precondition: no token has come yet.
  package func recordTokens() {
    precondition(tokenCount == 0, "tokens are recorded from the first one on")
    for companion in companions { companion.recordTokens() }
    tokenRecord = TokenRecord(
      stages: stages.count, shape: shape, chosenSlots: scores == nil ? nil : storage[0].slotsPerBlock)
  }

  /// How many of `wanted` tokens the next chunk may have.
  ///
  /// Sinks that arrive in the same chunk as the first eviction would have two distances; such a chunk is cut where
  /// the cache is full. A cache that compresses what comes after a prompt does so between chunks.
  package func admissibleChunk(_ wanted: Int) -> Int {
    var wanted = wanted
    for companion in companions { wanted = companion.admissibleChunk(wanted) }
    if let recompression, let room = roomBeforeCompression() { return min(wanted, room > 0 ? room : recompression) }
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
    for companion in companions { companion.beginStep(tokens: tokens) }
    undoLog?.begin(tokens: tokens, of: self)
    planReads(chunk: tokens)
    planMoves(chunk: tokens)
    tokenRecord?.carryOut(step, first: tokenCount)
    tokenCount += Int64(tokens)
    reserve()
  }

  private func reserve() {
    for index in stages.indices where stages[index].capacity == nil {
      storage[places[index].storage].reserve(slots: stages[index].usedSlots)
    }
    pageBounds?.reserve(blocks: storage[storage.count - 1].blockCount)
  }

  /// One past the highest slot of a storage that ever held a token.
  func usedSlots(of storage: Int, by stages: [any Stage]) -> Int {
    var used = 0
    for (stage, place) in zip(stages, places) where place.storage == storage && stage.usedSlots > 0 {
      used = max(used, place.offset + stage.usedSlots)
    }
    return used
  }

  private func planReads(chunk: Int) {
    var rollingTokens = 0
    for stage in stages where !stage.holdsStreamStart { rollingTokens += stage.count }
    let capacity = chunk == 1 ? capacityOfOne : slidingCapacity
    var context = ReadContext(
      stage: 0, chunk: chunk, streamPosition: tokenCount, heldTokens: heldTokens, newerTokens: 0,
      olderTokens: rollingTokens, usesOriginalPositions: usesOriginalPositions, slidingCapacity: capacity)
    step.reset(chunkOffset: capacity.map { heldTokens + 1 - $0 - rollingTokens } ?? -chunk)
    _ = step.index(of: StepPlan.QueryClock(first: tokenCount))
    for index in stages.indices {
      context.stage = index
      let count = stages[index].holdsStreamStart ? 0 : stages[index].count
      context.olderTokens -= count
      let firstReading = step.readings.count
      stages[index].read(context, into: &step)
      if case .linearBias = positions { step.measure(from: firstReading, stage: stages[index]) }
      if keepsOrder[index] { context.newerTokens += count }
    }
  }

  /// Lets the tokens of the chunk fall through the stages, one after another.
  private func planMoves(chunk: Int) {
    let slotsMayRepeat = chunk > smallestRing
    for token in 0..<chunk {
      let firstMove = step.moves.count
      var source = StepPlan.Move.Source.chunk(token: token)
      var arrival = arrival(of: token)
      walk: for index in stages.indices {
        let acceptance = stages[index].accept(arrival)
        if acceptance == .pass { continue }
        if scores != nil { step.append(StepPlan.Placement(token: token, stage: index, acceptance: acceptance)) }
        switch acceptance {
        case .pass: continue
        case .take(let slot, let clock), .contest(let slot, let clock):
          if scores == nil { step.append(StepPlan.Move(source: source, stage: index, slot: slot, clock: clock)) }
          break walk
        case .challenge:
          assert(scores != nil, "tokens are challenged by score")
        case .melt(let clock):
          if scores == nil {
            step.append(StepPlan.Move(source: source, stage: index, slot: nil, clock: clock ?? arrival.clock))
          }
          break walk
        case .exchange(let slot, let clock, let fallingClock):
          if scores == nil { step.append(StepPlan.Move(source: source, stage: index, slot: slot, clock: clock)) }
          source = .slot(stage: index, slot: slot, clock: fallingClock)
          arrival.clock = fallingClock
        }
      }
      step.orderMoves(from: firstMove, slotsMayRepeat: slotsMayRepeat)
    }
  }

  private func arrival(of token: Int) -> Arrival {
    let position = tokenCount + Int64(token)
    return Arrival(
      clock: position, streamIndex: position - Int64(sinkCount),
      cacheIsFilling: capacity.map { position <= Int64($0) } ?? true)
  }

  /// Puts a packed block of so many tokens, `[layer, KV head]`, in the place of all that is held.
  func pack(_ slots: PackedSlots, counts: [Int]) {
    guard var stage = stages[0] as? PromptStage else { return assertionFailure("only a prompt is packed") }
    undoLog?.clear()
    stage.pack(counts)
    stages[0] = stage
    storage[places[0].storage].replace(with: slots)
  }

  /// Notes that a prompt has ended, and keeps no more queries where no vote can come.
  func endPrompt() {
    guard var stage = stages[0] as? PromptStage else { return }
    undoLog?.clear()
    stage.finish()
    stages[0] = stage
    if stage.isFinished { observation = nil }
  }

  /// Takes up a state saved in a snapshot; the cache has just been reset.
  func restore(tokenCount: Int64, stages: [any Stage], summary: StageSummary?) {
    self.tokenCount = tokenCount
    self.summary = summary
    self.stages = stages
    if let stage = stages[0] as? PromptStage {
      if stage.isFinished { observation = nil }
      if !stage.packed.isEmpty {
        storage[places[0].storage].replace(
          with: PackedSlots(
            type: slotType.elementType, headDim: shape.headDim, counts: stage.packed, centers: plan.prompt?.centers))
      }
    }
    reserve()
  }

  /// Takes up the counters from before the newest step, whose slots are as they were then; nobody knows which tokens they
  /// hold.
  func takeBack(tokens: Int, to stages: [any Stage]) {
    tokenCount -= Int64(tokens)
    self.stages = stages
    endRecord()
  }

  /// Gives up blocks that hold no token any more, of a cache from which tokens were taken back.
  func giveUpGrowth() {
    for (stage, place) in zip(stages, places) where stage.capacity == nil {
      storage[place.storage].keep(slots: stage.usedSlots)
      pageBounds?.keep(blocks: storage[place.storage].blockCount)
      boundStoredPages(.current, from: stage.usedSlots)
    }
  }

  /// Notes no more which tokens slots hold.
  func endRecord() { tokenRecord = nil }
}
