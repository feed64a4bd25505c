/// The counters of a head group's stages: what a chunk reads, and where its tokens go. It contains no float.
///
/// One decision holds for all heads of the group; replays carry it out.
struct StageLedger {
  /// Tokens that ever entered, which is the place in the stream of the next one.
  private(set) var tokenCount: Int64 = 0
  private(set) var stages: [any Stage]
  /// The decisions for the chunk under way.
  private(set) var step: StepPlan

  /// Slots of all stages, nil where the cache grows.
  let capacity: Int?
  /// The plan's capacity where its window slides exactly, else nil.
  private let slidingCapacity: Int?
  /// The plan's capacity where a token that comes alone sees a window that slides exactly, else nil.
  private let capacityOfOne: Int?
  private let usesOriginalPositions: Bool
  private let streamStart: Int
  /// The stages whose tokens stand in order, `[stage]`.
  private let keepsOrder: [Bool]
  /// A chunk of at most so many tokens writes no slot twice.
  private let smallestRing: Int
  private let decidesByHead: Bool
  private let measuresDistances: Bool

  init(_ plan: KVCache.Plan, places: [StagePlace], positions: PositionEncoding) {
    stages = plan.stages.map { $0.blueprint.makeStage() }
    step = StepPlan(places: places)
    capacity = plan.capacity
    slidingCapacity = plan.slidesExactly ? plan.capacity : nil
    capacityOfOne = plan.evictsInOrder ? plan.capacity : nil
    usesOriginalPositions = plan.usesOriginalPositions
    streamStart = plan.stages[0].blueprint.streamStart
    keepsOrder = plan.stages.map { $0.blueprint.distance != .clipped }
    smallestRing = plan.slidesExactly ? stages.filter { !$0.holdsStreamStart }.compactMap(\.capacity).min() ?? .max : 0
    decidesByHead = plan.states.contains(where: \.decidesByHead)
    measuresDistances = if case .linearBias = positions { true } else { false }
  }

  /// Tokens held apart now.
  var heldTokens: Int {
    var held = 0
    for stage in stages { held += stage.count }
    return held
  }

  /// Of so many tokens, how many the next chunk may have.
  ///
  /// Tokens of the stream's start that arrive in the same chunk as the first eviction would have two distances; such a
  /// chunk is cut where the cache is full.
  func admissible(_ wanted: Int) -> Int {
    var wanted = wanted
    for stage in stages { wanted = stage.admissible(wanted) }
    guard let slidingCapacity, let first = stages.first, first.holdsStreamStart,
      first.count < first.capacity ?? .max, heldTokens + wanted > slidingCapacity
    else { return wanted }
    return slidingCapacity - heldTokens
  }

  /// Decides what a chunk reads and where its tokens go, and counts them in. Allocates nothing once it has seen a chunk
  /// of that size.
  mutating func plan(chunk: Int) {
    var arriving = 0
    for index in stages.indices { arriving = stages[index].open(arriving: arriving) }
    planReads(chunk: chunk)
    planMoves(chunk: chunk)
    tokenCount += Int64(chunk)
  }

  private mutating func planReads(chunk: Int) {
    var rollingTokens = 0
    for stage in stages where !stage.holdsStreamStart { rollingTokens += stage.count }
    let (held, capacity) = (heldTokens, chunk == 1 ? capacityOfOne : slidingCapacity)
    var context = ReadContext(
      stage: 0, chunk: chunk, streamPosition: tokenCount, heldTokens: held, newerTokens: 0,
      olderTokens: rollingTokens, usesOriginalPositions: usesOriginalPositions, slidingCapacity: capacity)
    step.reset(
      chunkOffset: capacity.map { held + 1 - $0 - rollingTokens } ?? -chunk,
      position: usesOriginalPositions
        ? StepPlan.QueryClock(first: tokenCount)
        : StepPlan.QueryClock(first: Int64(held), limit: capacity.map { Int64($0) - 1 } ?? .max))
    _ = step.index(of: StepPlan.QueryClock(first: tokenCount))
    for index in stages.indices {
      context.stage = index
      let count = stages[index].holdsStreamStart ? 0 : stages[index].count
      context.olderTokens -= count
      let firstReading = step.readings.count
      stages[index].read(context, into: &step)
      if measuresDistances { step.measure(from: firstReading, stage: stages[index]) }
      if keepsOrder[index] { context.newerTokens += count }
    }
  }

  /// Lets the tokens of the chunk fall through the stages, one after another.
  private mutating func planMoves(chunk: Int) {
    let slotsMayRepeat = chunk > smallestRing
    for token in 0..<chunk {
      let firstMove = step.moves.count
      var source = StepPlan.Move.Source.chunk(token: token)
      var arrival = arrival(of: token)
      walk: for index in stages.indices {
        let acceptance = stages[index].accept(arrival)
        if acceptance == .pass { continue }
        if decidesByHead { step.append(StepPlan.Placement(token: token, stage: index, acceptance: acceptance)) }
        switch acceptance {
        case .pass: continue
        case .take(let slot, let clock), .contest(let slot, let clock):
          if !decidesByHead { step.append(StepPlan.Move(source: source, stage: index, slot: slot, clock: clock)) }
          break walk
        case .challenge:
          assert(decidesByHead, "tokens are challenged where heads decide")
        case .absorb(let clock):
          if !decidesByHead {
            step.append(StepPlan.Move(source: source, stage: index, slot: nil, clock: clock ?? arrival.clock))
          }
          break walk
        case .exchange(let slot, let clock, let fallingClock):
          if !decidesByHead { step.append(StepPlan.Move(source: source, stage: index, slot: slot, clock: clock)) }
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
      clock: position, streamIndex: position - Int64(streamStart),
      cacheIsFilling: capacity.map { position <= Int64($0) } ?? true)
  }

  /// Forgets everything.
  mutating func reset(_ plan: KVCache.Plan) {
    tokenCount = 0
    stages = plan.stages.map { $0.blueprint.makeStage() }
  }

  /// Takes up other counters.
  mutating func set(tokenCount: Int64, stages: [any Stage]) {
    self.tokenCount = tokenCount
    self.stages = stages
  }

  /// Puts other counters in the place of a stage's, for a state that changes what the stage holds between two steps.
  mutating func replace(stage: Int, with other: any Stage) { stages[stage] = other }
}
