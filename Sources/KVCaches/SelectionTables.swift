import Kernels

/// What a step of a cache that scores its tokens needs beside the tables of every cache: which slots to score, what
/// the rows' softmax came to, and who competes with whom.
///
/// The buffers grow to the largest step seen.
final class SelectionTables {
  /// A share of the slots to score, for all heads.
  struct Unit {
    /// Index of the run, or -1 for the chunk's own tokens.
    var run: Int
    /// Slots `first` to `last`, exclusive, of the run's block, or tokens of the chunk.
    var first: Int
    var last: Int
  }

  /// A placement of the step plan, with slots counted through all stages.
  struct Placement {
    enum Kind {
      case take, exchange, contest, challenge
    }
    var kind: Kind
    var token: Int32
    var stage: Int32
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

  /// Slots of one unit.
  static let unitSlots = 256

  private(set) var rule = ScoreRule(decay: 1)
  /// What the scores of slots keep over the step.
  private(set) var factor: Float = 1
  /// `[layer, KV head, slot]`
  private(set) var scores: UnsafeMutablePointer<Float>
  /// Slots of all stages together, as the cache stores them.
  private(set) var slots = 0
  /// Where the slots of each stage begin, and (last) where they end.
  private(set) var stageFirst = GrowingBuffer<Int32>()
  private(set) var stageCount = 0

  private(set) var units = GrowingBuffer<Unit>()
  private(set) var unitCount = 0
  private(set) var placements = GrowingBuffer<Placement>()
  private(set) var placementCount = 0

  /// What each token's probabilities count, `[token, query head of the group]`.
  private(set) var rowWeights = GrowingBuffer<Float>()
  /// Final maxima and sums of the layer's rows, `[KV head, token, query head of the group]`; with ALiBi, where a task has
  /// one query head, `[query head, token]`.
  private(set) var maxima = GrowingBuffer<Float>()
  private(set) var sums = GrowingBuffer<Float>()
  /// The first scores of the chunk's tokens in the layer, `[KV head, token]`.
  private(set) var chunkScores = GrowingBuffer<Float>()

  private let shape: KVCache.Shape

  init(shape: KVCache.Shape) {
    self.shape = shape
    scores = maxima.pointer
  }

  func prepare(
    _ cache: KVCache, rule: ScoreRule, scores: Buffer<Float>, tokens: Int,
    runs: UnsafePointer<StepTables.Run>, count: Int
  ) {
    self.rule = rule
    self.scores = scores.pointer
    slots = cache.storage[0].slotsPerBlock
    factor = rule.factor(after: tokens)
    maxima.reserve(tokens * shape.queryHeads)
    sums.reserve(tokens * shape.queryHeads)
    chunkScores.reserve(tokens * shape.keyValueHeads)
    prepareWeights(tokens: tokens)
    prepareUnits(tokens: tokens, runs: runs, count: count)
    preparePlacements(cache)
  }

  private func prepareWeights(tokens: Int) {
    rowWeights.reserve(tokens * shape.groupSize)
    var weight = 1.0
    for token in (0..<tokens).reversed() {
      for head in 0..<shape.groupSize { rowWeights.pointer[token * shape.groupSize + head] = Float(weight) }
      weight *= rule.decay
    }
  }

  private func prepareUnits(tokens: Int, runs: UnsafePointer<StepTables.Run>, count: Int) {
    unitCount = 0
    for run in 0..<count { addUnits(run: run, first: runs[run].first, last: runs[run].last) }
    addUnits(run: -1, first: 0, last: tokens)
  }

  /// Cuts at multiples of a unit, where kernels cut as well.
  private func addUnits(run: Int, first: Int, last: Int) {
    var start = first
    while start < last {
      let end = min((start / Self.unitSlots + 1) * Self.unitSlots, last)
      units.reserve(unitCount + 1, keeping: unitCount)
      units.pointer[unitCount] = Unit(run: run, first: start, last: end)
      unitCount += 1
      start = end
    }
  }

  private func preparePlacements(_ cache: KVCache) {
    stageCount = cache.places.count
    stageFirst.reserve(stageCount + 1)
    for (stage, place) in cache.places.enumerated() { stageFirst.pointer[stage] = Int32(place.offset) }
    stageFirst.pointer[stageCount] = Int32(slots)
    placementCount = cache.step.placements.count
    placements.reserve(placementCount)
    for (index, placement) in cache.step.placements.enumerated() {
      placements.pointer[index] = record(placement, offset: cache.places[placement.stage].offset)
    }
  }

  private func record(_ placement: StepPlan.Placement, offset: Int) -> Placement {
    var record = Placement(
      kind: .take, token: Int32(placement.token), stage: Int32(placement.stage), slot: 0, lastSlot: 0,
      clock: Placement.asItComes, fallingClock: 0)
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
    case .pass: assertionFailure("a token that goes on is not placed")
    }
    return record
  }
}
