import Kernels

/// Scores in a step: attention keeps the weights it computes, they are added up by columns as soon as the rows' final
/// maxima and sums are known, and then heads decide who stays.
///
/// A column is a slot, or (behind all slots) a token of the chunk.
final class ScoreReplay: LayerReplay {
  /// A placement of the step plan, with slots counted through all stages.
  struct Placement {
    enum Kind {
      case take, exchange, contest, challenge, absorb
    }
    var kind: Kind
    var token: Int32
    /// The slot, or the first of those challenged.
    var slot: Int32
    /// One past the last slot challenged.
    var lastSlot: Int32
    /// The clock at which the token is kept; that with which it comes where this is `asItComes`.
    var clock: Int64
    /// The clock of the token that falls.
    var fallingClock: Int64

    static let asItComes = Int64.min
  }

  /// Columns of one unit of the update.
  static let unitColumns = 512
  /// The tokens of a chunk are divided into so many groups at most, each of which adds up its columns alone and in
  /// order: so sums do not depend on the number of threads.
  private static let largestGroupCount = 8
  /// Bytes of the weights that a tile keeps, unless one token's alone are more. They are read again soon: with more
  /// of them that costs memory bandwidth, with fewer a tile has too few rows.
  private static let keptBytes = 2 << 20

  private(set) var rule = ScoreRule(decay: 1)
  /// What the scores of slots keep over the step.
  private(set) var factor = 1.0
  /// `[place, slot]`
  private(set) var scores: UnsafeMutablePointer<Double>
  /// Slots of all stages together, as the group stores them.
  private(set) var slots = 0
  /// Where the slots of each stage begin, and (last) where they end.
  private(set) var stageFirst = GrowingBuffer<Int32>()
  private(set) var stageCount = 0
  private(set) var placements = GrowingBuffer<Placement>()
  private(set) var placementCount = 0

  private var tileTokens = 1
  /// Tokens of a group of the chunk, the last one's may be fewer.
  private var groupTokens = 1
  private(set) var groupCount = 1
  /// The probabilities that the tokens of each group give each column in the layer, times what the tokens count,
  /// `[group, query head, column]`.
  private(set) var columns = GrowingBuffer<Float>()
  /// Columns.
  private(set) var width = 0
  /// What each token's probabilities count, `[token, query head of the group]`.
  private var rowWeights = GrowingBuffer<Float>()
  /// Final maxima and sums of a single token's rows in the layer, `[query head]`.
  private var maxima = GrowingBuffer<Float>()
  private var sums = GrowingBuffer<Float>()
  /// The first scores of the chunk's tokens in the layer, `[KV head, token]`.
  private(set) var chunkScores = GrowingBuffer<Float>()
  /// What each thread decides with.
  private(set) var scratch: [SelectionScratch] = []
  private var keepsHalvesNow = false
  /// What `scores` points to before the first step.
  private let noScores = Buffer<Double>(count: 0)
  private let headDim: Int

  init(_ site: StateSite) {
    scores = noScores.pointer
    headDim = site.headDim
  }

  func fits(_ site: StateSite) -> Bool { site.headDim == headDim }

  private static let ownRoles: Roles = [.keepsWeights, .places]
  override var roles: Roles { Self.ownRoles }

  override func prepare(_ group: HeadGroup, _ step: GroupReplay, threads: Int) {
    guard let state = group.state(ScoreState.self) else { return assertionFailure("scores without a state") }
    let (tokens, shape) = (step.rows.count, step.shape)
    rule = state.rule
    scores = state.scores.pointer
    slots = state.slots
    factor = rule.factor(after: tokens)
    // A chunk's weights do not fit into a core's cache, and slots are rounded more coarsely. A single token's are few, and
    // which thread meets which of its slots must not show.
    keepsHalvesNow = tokens > 1 && step.type != .float32
    maxima.reserve(shape.queryHeads)
    sums.reserve(shape.queryHeads)
    chunkScores.reserve(tokens * shape.keyValueHeads)
    prepareWeights(tokens: tokens, group: shape.groupSize)
    width = slots + tokens
    let rows = Self.keptBytes / (width * (keepsHalvesNow ? 2 : 4))
    tileTokens = min(max(rows / shape.groupSize, 1), shape.tileTokens)
    let tiles = (tokens + tileTokens - 1) / tileTokens
    groupTokens = (tiles + Self.largestGroupCount - 1) / Self.largestGroupCount * tileTokens
    groupCount = (tokens + groupTokens - 1) / groupTokens
    columns.reserve(groupCount * shape.queryHeads * width)
    preparePlacements(group)
    while scratch.count < threads { scratch.append(SelectionScratch(headDim: headDim)) }
    for scratch in scratch { scratch.reserve(slots: slots) }
  }

  private func prepareWeights(tokens: Int, group: Int) {
    rowWeights.reserve(tokens * group)
    var weight = 1.0
    for token in (0..<tokens).reversed() {
      for head in 0..<group { rowWeights.pointer[token * group + head] = Float(weight) }
      weight *= rule.decay
    }
  }

  private func preparePlacements(_ group: HeadGroup) {
    let (places, step) = (group.slots.places, group.ledger.step)
    stageCount = places.count
    stageFirst.reserve(stageCount + 1)
    for (stage, place) in places.enumerated() { stageFirst.pointer[stage] = Int32(place.offset) }
    stageFirst.pointer[stageCount] = Int32(slots)
    placementCount = step.placements.count
    placements.reserve(placementCount)
    for (index, placement) in step.placements.enumerated() {
      placements.pointer[index] = record(placement, offset: places[placement.stage].offset)
    }
  }

  private func record(_ placement: StepPlan.Placement, offset: Int) -> Placement {
    var record = Placement(
      kind: .take, token: Int32(placement.token), slot: 0, lastSlot: 0, clock: Placement.asItComes, fallingClock: 0)
    switch placement.acceptance {
    case .take(let slot, let clock):
      (record.slot, record.clock) = (Int32(offset + slot), clock)
    case .exchange(let slot, let clock, let fallingClock):
      (record.kind, record.slot, record.clock) = (.exchange, Int32(offset + slot), clock)
      record.fallingClock = fallingClock
    case .contest(let slot, let clock):
      (record.kind, record.slot, record.clock) = (.contest, Int32(offset + slot), clock)
    case .challenge(let slots, let clock):
      (record.kind, record.slot, record.lastSlot) = (.challenge, Int32(offset), Int32(offset + slots))
      if let clock { record.clock = clock }
    case .absorb(let clock):
      record.kind = .absorb
      if let clock { record.clock = clock }
    case .pass: assertionFailure("a token that goes on is not placed")
    }
    return record
  }

  override func tokens(_ step: GroupReplay) -> (tile: Int, task: Int) { (tileTokens, groupTokens) }
  override var keepsHalves: Bool { keepsHalvesNow }

  override func startColumns(_ task: AttentionTask, _ step: GroupReplay) {
    for head in task.queryHeads { columns(of: task, head: head, step).update(repeating: 0, count: width) }
  }

  override func keepSoftmax(_ partial: PartialAttention, _ step: GroupReplay) {
    maxima.pointer.update(from: partial.maximum.pointer, count: step.shape.queryHeads)
    sums.pointer.update(from: partial.sum.pointer, count: step.shape.queryHeads)
  }

  @discardableResult
  override func addColumns(
    _ task: AttentionTask, _ step: GroupReplay, share: WorkShare, maximum: UnsafeMutablePointer<Float>,
    sum: UnsafePointer<Float>, kept: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) -> Int {
    let heads = task.queryHeads.count
    let columns = columns(of: task, head: task.queryHeads.lowerBound, step)
    var offset = 0
    step.forEachRun(of: task, share: share) { run, slots in
      if step.positions.isLinearBias { step.positions.shift(maximum, task, clock: run.clock, by: -1) }
      let bounds = step.readings.bounds(of: run, task)
      kernels.addKeptColumnSums(
        kept + offset, areHalves: keepsHalvesNow, run: slots, rows: task.rows, rowsPerToken: heads,
        max: maximum, sum: sum, rowWeights: rowWeights.pointer + task.tokens.lowerBound * heads,
        visibleFirst: bounds.first, visibleLast: bounds.last,
        to: columns + firstColumn(of: run, step), headStride: width)
      if step.positions.isLinearBias { step.positions.shift(maximum, task, clock: run.clock, by: 1) }
      offset += InstructionSet.keptFloats(rows: task.rows, slots: slots.count)
    }
    return offset
  }

  /// The column of a run's slot 0: slots come first, then the chunk's tokens.
  private func firstColumn(of run: Run, _ step: GroupReplay) -> Int { run.block == step.chunkBlock ? slots : 0 }

  private func columns(of task: AttentionTask, head: Int, _ step: GroupReplay) -> UnsafeMutablePointer<Float> {
    let group = task.tokens.lowerBound / groupTokens
    return columns.pointer + (group * step.shape.queryHeads + head) * width
  }

  override var columnUnits: Int { (width + Self.unitColumns - 1) / Self.unitColumns }

  override func finishColumns(unit: Int, layer: Int, _ step: GroupReplay) {
    let first = unit * Self.unitColumns
    updateScores(first..<min(first + Self.unitColumns, width), layer: layer, step)
  }

  override func finishColumns(
    _ tasks: UnsafeBufferPointer<AttentionTask>, _ step: GroupReplay, share: WorkShare, layer: Int,
    kept: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) -> Int {
    step.forEachRun(of: tasks[0], share: share) { run, slots in
      for head in 0..<step.shape.queryHeads {
        let first = columns.pointer + head * width + firstColumn(of: run, step) + slots.lowerBound
        first.update(repeating: 0, count: slots.count)
      }
    }
    var read = 0
    // Maxima of ALiBi are shifted from clock to clock, so each thread has its own.
    withUnsafeTemporaryAllocation(of: Float.self, capacity: step.shape.queryHeads) { own in
      guard let maxima = own.baseAddress else { return }
      maxima.update(from: self.maxima.pointer, count: own.count)
      for task in tasks where step.place(layer: layer, head: task.head) >= 0 {
        let row = task.queryHeads.lowerBound
        read += addColumns(
          task, step, share: share, maximum: maxima + row, sum: sums.pointer + row, kept: kept + read, kernels)
      }
    }
    step.forEachRun(of: tasks[0], share: share) { run, slots in
      let first = firstColumn(of: run, step)
      updateScores(slots.lowerBound + first..<slots.upperBound + first, layer: layer, step)
    }
    return read
  }

  override func place(
    head: Int, _ call: LayerCall, _ step: GroupReplay, _ threadScratch: ThreadScratch, _ kernels: InstructionSet
  ) {
    select(head: head, call, step, scratch[threadScratch.thread], threadScratch, kernels)
  }
}
