import Kernels

/// What a step of a cache that scores its tokens needs beside the tables of every cache: which slots to score, what
/// the rows' softmax came to, and who competes with whom.
///
/// The buffers grow to the largest step seen.
final class SelectionTables {
  /// A placement of the step plan, with slots counted through all stages.
  struct Placement {
    enum Kind {
      case take, exchange, contest, challenge, melt
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

  /// Columns of one unit of the update.
  static let unitColumns = 512
  /// The tokens of a chunk are divided into so many groups at most, each of which adds up its columns alone and in
  /// order: so sums do not depend on the number of threads.
  private static let largestGroupCount = 8

  private(set) var rule = ScoreRule(decay: 1)
  /// What the scores of slots keep over the step.
  private(set) var factor: Float = 1
  /// `[layer, KV head, slot]`
  private(set) var scores: UnsafeMutablePointer<Float>
  /// Places in the stream of the tokens that slots hold, `[layer, KV head, slot]`; nil where nobody asked for them.
  private(set) var tokens: UnsafeMutablePointer<Int64>?
  /// Slots of all stages together, as the cache stores them.
  private(set) var slots = 0
  /// Where the slots of each stage begin, and (last) where they end.
  private(set) var stageFirst = GrowingBuffer<Int32>()
  private(set) var stageCount = 0

  /// Bytes of the weights that a tile keeps, unless one token's alone are more. They are read again soon: with more
  /// of them that costs memory bandwidth, with fewer a tile has too few rows.
  private static let keptBytes = 2 << 20

  /// Tokens that are attended with at once.
  private(set) var tileTokens = 1
  /// Tokens of a group of the chunk, the last one's may be fewer.
  private(set) var groupTokens = 1
  private(set) var groupCount = 1
  /// The probabilities that the tokens of each group give each slot and each token of the chunk in the layer, times what
  /// the tokens count, `[group, query head, slot | token]`.
  private(set) var columns = GrowingBuffer<Float>()
  /// Slots, then tokens of the chunk.
  private(set) var width = 0
  private(set) var placements = GrowingBuffer<Placement>()
  private(set) var placementCount = 0

  /// What each token's probabilities count, `[token, query head of the group]`.
  private(set) var rowWeights = GrowingBuffer<Float>()
  /// Final maxima and sums of a single token's rows in the layer, `[query head]`.
  private(set) var maxima = GrowingBuffer<Float>()
  private(set) var sums = GrowingBuffer<Float>()
  /// The first scores of the chunk's tokens in the layer, `[KV head, token]`.
  private(set) var chunkScores = GrowingBuffer<Float>()

  private let shape: KVCache.Shape

  init(shape: KVCache.Shape) {
    self.shape = shape
    scores = maxima.pointer
  }

  func prepare(_ cache: KVCache, rule: ScoreRule, scores: Buffer<Float>, tokens: Int) {
    self.rule = rule
    self.scores = scores.pointer
    self.tokens = cache.tokenRecord?.chosenTokens
    slots = cache.storage[0].slotsPerBlock
    factor = rule.factor(after: tokens)
    maxima.reserve(shape.queryHeads)
    sums.reserve(shape.queryHeads)
    chunkScores.reserve(tokens * shape.keyValueHeads)
    prepareWeights(tokens: tokens)
    width = slots + tokens
    let weightBytes = StepTables.keepsHalves(tokens: tokens, cache.slotType.elementType) ? 2 : 4
    let rows = Self.keptBytes / (width * weightBytes)
    tileTokens = min(max(rows / shape.groupSize, 1), shape.tileTokens)
    let tiles = (tokens + tileTokens - 1) / tileTokens
    groupTokens = (tiles + Self.largestGroupCount - 1) / Self.largestGroupCount * tileTokens
    groupCount = (tokens + groupTokens - 1) / groupTokens
    columns.reserve(groupCount * shape.queryHeads * width)
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
    case .melt(let clock):
      record.kind = .melt
      if let clock { record.clock = clock }
    case .pass: assertionFailure("a token that goes on is not placed")
    }
    return record
  }
}
