import Kernels

/// What one sequence's step needs in every layer, in flat buffers: the plan's readings and moves, angles, and the
/// chunk's own keys and values in slots.
///
/// A layer's replay of them neither allocates nor counts references. The buffers grow to the largest step seen.
final class StepTables {
  /// A run of slots that the chunk reads.
  struct Run {
    /// Index into `blocks`.
    var block: Int
    /// The run is slots `first` to `last`, exclusive, of the block.
    var first: Int
    var last: Int
    /// Index of the query clock.
    var clock: Int
    /// Offset of the run's bounds in `visibleFirst` and `visibleLast`, or -1 where all tokens see all of it.
    var visible: Int
    /// Offset of the run's distances in `distances`, or -1 where they do not matter; they do for ALiBi.
    var distances: Int

    /// Whether the other run can be read in one go with this one.
    func continues(with other: Run) -> Bool {
      block == other.block && last == other.first && clock == other.clock && visible < 0 && other.visible < 0
        && distances < 0 && other.distances < 0
    }

    /// Parts of the run that threads may share out, cut at multiples of `cut` slots. Kernels cut them at multiples of 64,
    /// so these cuts change no result.
    func shares(cut: Int) -> Int { (last + cut - 1) / cut - first / cut }

    /// The slots of some shares.
    func slots(ofShares range: Range<Int>, cut: Int) -> Range<Int> {
      guard !range.isEmpty else { return first..<first }
      return max(first, (first / cut + range.lowerBound) * cut)..<min(last, (first / cut + range.upperBound) * cut)
    }
  }

  /// A key and a value that go into a slot, or melt.
  struct Move {
    /// The chunk's token, or -1 where they come from a slot.
    var token: Int
    /// Where they come from, else; `block` indexes `blocks`.
    var source: (block: Int, slot: Int)
    /// The slot, or block -1 where they melt.
    var target: (block: Int, slot: Int)
    /// Whether the key still has to turn by the move's angles.
    var turns: Bool
  }

  let shape: KVCache.Shape
  /// The heads that the cache holds.
  private var heads: StoredHeads
  /// The place in the stream of the chunk's first token.
  private(set) var firstPosition: Int64 = 0
  /// The sequence's rows of the batch; the first is token 0 of the chunk.
  private(set) var rows = 0..<0
  private(set) var type = ElementType.float32
  private(set) var blocks = GrowingBuffer<StageStorage.Block>()
  private(set) var runs = GrowingBuffer<Run>()
  private(set) var runCount = 0
  /// `[run with bounds, token]`
  private(set) var visibleFirst = GrowingBuffer<Int32>()
  private(set) var visibleLast = GrowingBuffer<Int32>()
  /// What each token sees of the chunk, `[token]`.
  private(set) var chunkFirst = GrowingBuffer<Int32>()
  private(set) var chunkLast = GrowingBuffer<Int32>()
  private(set) var moves = GrowingBuffer<Move>()
  private(set) var moveCount = 0
  /// Whether moves may run in any order.
  private(set) var movesAreIndependent = true

  /// Where tokens go by score, in a cache that scores its tokens.
  private(set) var selection: SelectionTables?

  /// Where the queries of the newest tokens are kept, in a cache whose prompt ends with a vote.
  private(set) var observation: ObservationWindow?

  /// What the tokens of the last stage melted into, in a cache with such a stage.
  private(set) var summary: StageSummary?
  /// Index of the query clock by which the summary is read, or -1 where nothing has melted yet.
  private(set) var summaryClock = -1
  /// By how much its position is more than that of what melted together, at the chunk's first token.
  private(set) var summaryDistance: Float = 0
  /// Over how many more positions what melted together is spread.
  private(set) var summarySpread: Float = 0
  /// Whether keys melt without position.
  private(set) var summaryIsClipped = false
  /// The chunk's tokens that come while the exact stages have room.
  private(set) var arrivalsToObserve = 0

  /// Where slots are copied before they are written, in a cache whose newest tokens can be taken back.
  private(set) var undoLog: UndoLog?

  /// What is read of a stage of which a single token reads only some pages.
  private(set) var pages: PageTables?

  /// Rotated pairs of a head; 0 without rotation.
  private(set) var halfDim = 0
  private(set) var layout = RotaryLayout.halves
  /// Cosines then sines of each query clock, `[clock, token, (cosine | sine), pair]`.
  private var angles = GrowingBuffer<Float>()
  /// Angle per position of each pair, `[pair]`.
  private(set) var frequencies = GrowingBuffer<Double>()
  /// Cosines then sines of moves that turn, `[move, (cosine | sine), pair]`.
  private var moveAngles = GrowingBuffer<Float>()

  /// ALiBi: whether logits lose `slope × distance`.
  private(set) var isLinearBias = false
  /// `[query head]`
  private(set) var slopes = GrowingBuffer<Float>()
  /// From keys to the position of the chunk's first token; those of the chunk's own keys from `chunkDistances` on.
  private(set) var distances = GrowingBuffer<Float>()
  private(set) var chunkDistances = 0
  /// How far each token's position by each clock stays behind the token's place in the chunk, `[clock, token]`.
  private(set) var lags = GrowingBuffer<Float>()

  /// The chunk's keys and values as one block of slots, one layer at a time.
  private var chunkStorage: StageStorage?
  /// Index of the chunk's block in `blocks`.
  private(set) var chunkBlock = 0

  init(shape: KVCache.Shape) {
    self.shape = shape
    heads = StoredHeads(allOf: shape)
  }

  /// Where the cache stores a KV head of a layer, or -1 where another cache holds it.
  func place(layer: Int, head: Int) -> Int { heads.place(layer: layer, head: head) }

  /// The most slots of any block, the chunk's own included.
  private(set) var largestBlock = 0

  /// Query heads that one task attends with: those of a KV head, or one where each has a bias of its own.
  var headsPerTask: Int { isLinearBias ? 1 : shape.groupSize }

  /// Takes over the decisions of the cache's step.
  func prepare(_ cache: KVCache, rows: Range<Int>) {
    self.rows = rows
    heads = cache.heads
    firstPosition = cache.step.clocks[0].first
    type = cache.slotType.elementType
    prepareBlocks(cache)
    prepareReadings(cache.step, cache)
    prepareMoves(cache.step, cache)
    prepareSelection(cache)
    observation = cache.observation
    summary = cache.summary
    undoLog = cache.undoLog
    summaryClock = cache.step.summaryReading?.clock ?? -1
    summaryDistance = summaryClock < 0 ? 0 : Float(cache.step.clocks[summaryClock].first)
    summarySpread = summaryClock < 0 ? 0 : Float(cache.step.clocks[summaryClock].spread)
    summaryIsClipped = cache.meltsClipped
    arrivalsToObserve = Int(max(0, min(Int64(rows.count), Int64(cache.capacity ?? 0) - firstPosition)))
    halfDim = 0
    isLinearBias = false
    switch cache.positions {
    case .rotary(let rotary): prepareAngles(cache.step, rotary)
    case .linearBias(let slopes): prepareDistances(cache.step, slopes)
    case .none: break
    }
    preparePages(cache)
  }

  private func prepareBlocks(_ cache: KVCache) {
    if chunkStorage == nil || chunkStorage!.slotsPerBlock < rows.count || chunkStorage!.type != type {
      chunkStorage = StageStorage(type: type, shape: shape.oneLayer, capacity: rows.count)
    }
    chunkBlock = 0
    for storage in cache.storage { chunkBlock += storage.blockCount + (storage.packed == nil ? 0 : 1) }
    blocks.reserve(chunkBlock + 1)
    var index = 0
    largestBlock = chunkStorage!.slotsPerBlock
    for storage in cache.storage {
      largestBlock = max(largestBlock, storage.slotsPerBlock)
      if let packed = storage.packed {
        blocks.pointer[index] = packed.block
        index += 1
      }
      for block in 0..<storage.blockCount {
        blocks.pointer[index] = storage.block(block)
        index += 1
      }
    }
    blocks.pointer[chunkBlock] = chunkStorage!.block(0)
  }

  private func prepareReadings(_ step: StepPlan, _ cache: KVCache) {
    visibleFirst.copy(step.visibleFirst)
    visibleLast.copy(step.visibleLast)
    chunkFirst.reserve(rows.count)
    chunkLast.reserve(rows.count)
    for token in 0..<rows.count {
      chunkFirst.pointer[token] = Int32(step.firstVisibleChunkToken(token))
      chunkLast.pointer[token] = Int32(token + 1)
    }
    runCount = 0
    runs.reserve(step.readings.count)
    for reading in step.readings {
      let run = Run(
        block: firstBlock(of: reading.stage, cache) + reading.block, first: reading.slots.lowerBound,
        last: reading.slots.upperBound, clock: reading.clock, visible: reading.visible ?? -1,
        distances: reading.distances ?? -1)
      if runCount > 0, runs.pointer[runCount - 1].continues(with: run) {
        runs.pointer[runCount - 1].last = run.last
      } else {
        runs.pointer[runCount] = run
        runCount += 1
      }
    }
  }

  private func prepareMoves(_ step: StepPlan, _ cache: KVCache) {
    movesAreIndependent = step.movesAreIndependent
    moveCount = step.moves.count
    moves.reserve(moveCount)
    for (index, move) in step.moves.enumerated() {
      var record = Move(
        token: -1, source: (0, 0), target: move.slot.map { place(stage: move.stage, slot: $0, cache) } ?? (-1, 0),
        turns: turn(of: move, step) != 0)
      switch move.source {
      case .chunk(let token): record.token = token
      case .slot(let stage, let slot, _): record.source = place(stage: stage, slot: slot, cache)
      }
      moves.pointer[index] = record
    }
  }

  private func prepareSelection(_ cache: KVCache) {
    guard let rule = cache.plan.scoring, let scores = cache.scores else {
      selection = nil
      return
    }
    if selection == nil { selection = SelectionTables(shape: shape) }
    selection?.prepare(cache, rule: rule, scores: scores, tokens: rows.count)
  }

  private func preparePages(_ cache: KVCache) {
    guard let bounds = cache.pageBounds else {
      pages = nil
      return
    }
    let tables = pages ?? PageTables(shape: shape)
    tables.prepare(
      cache, bounds, firstBlock: firstBlock(of: cache.places.count - 1, cache),
      runs: UnsafeBufferPointer(start: runs.pointer, count: runCount), tokens: rows.count)
    if isLinearBias { tables.measure(runs: runs.pointer, distances: distances.pointer) }
    pages = tables
  }

  /// Index in `blocks` of the first block of the storage in which a stage lies; a packed block stands before it.
  private func firstBlock(of stage: Int, _ cache: KVCache) -> Int {
    let storage = cache.places[stage].storage
    var index = cache.storage[storage].packed == nil ? 0 : 1
    for earlier in 0..<storage { index += cache.storage[earlier].blockCount }
    return index
  }

  private func place(stage: Int, slot: Int, _ cache: KVCache) -> (block: Int, slot: Int) {
    let (block, place) = (slot + cache.places[stage].offset)
      .quotientAndRemainder(dividingBy: cache.places[stage].slotsPerBlock)
    return (firstBlock(of: stage, cache) + block, place)
  }

  /// The angle, in positions, between where a key's rotation comes from (its place in the stream, or the clock of its
  /// slot) and where the move wants it.
  private func turn(of move: StepPlan.Move, _ step: StepPlan) -> Int64 {
    switch move.source {
    case .chunk(let token): move.clock - step.clocks[0].position(token)
    case .slot(_, _, let clock): move.clock - clock
    }
  }

  private func prepareAngles(_ step: StepPlan, _ rotary: RotaryEmbedding) {
    halfDim = rotary.dim / 2
    layout = rotary.layout
    frequencies.copy(rotary.frequencies)
    angles.reserve(step.clocks.count * rows.count * 2 * halfDim)
    for (index, clock) in step.clocks.enumerated() {
      for token in 0..<rows.count {
        let target = angles.pointer + (index * rows.count + token) * 2 * halfDim
        rotary.angles(at: clock.position(token), cosine: target, sine: target + halfDim)
        if clock.spread > 0 { rotary.spread(over: clock.spread, cosine: target, sine: target + halfDim) }
      }
    }
    for (index, move) in step.moves.enumerated() where moves.pointer[index].turns {
      moveAngles.reserve(moveCount * 2 * halfDim)
      let target = moveAngles.pointer + index * 2 * halfDim
      rotary.angles(at: turn(of: move, step), cosine: target, sine: target + halfDim)
    }
  }

  private func prepareDistances(_ step: StepPlan, _ slopes: [Float]) {
    precondition(slopes.count == shape.queryHeads, "a slope for every query head")
    isLinearBias = true
    self.slopes.copy(slopes)
    chunkDistances = step.distances.count
    distances.reserve(chunkDistances + rows.count)
    distances.copy(step.distances)
    for token in 0..<rows.count { distances.pointer[chunkDistances + token] = Float(-token) }
    lags.reserve(step.clocks.count * rows.count)
    for (index, clock) in step.clocks.enumerated() {
      for token in 0..<rows.count {
        lags.pointer[index * rows.count + token] = Float(Int64(token) - (clock.position(token) - clock.first))
      }
    }
  }

  /// Rotates `heads` vectors of `headDim` of one token by a query clock; copies them where nothing is rotated.
  func rotate(
    _ source: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>, heads: Int, clock: Int, token: Int,
    _ kernels: InstructionSet
  ) {
    guard halfDim > 0 else { return target.update(from: source, count: heads * shape.headDim) }
    let cosine = angles.pointer + (clock * rows.count + token) * 2 * halfDim
    kernels.rotate(
      source, out: target, heads: heads, headStride: shape.headDim, headDim: shape.headDim, rotaryDim: 2 * halfDim,
      layout: layout, cosine: cosine, sine: cosine + halfDim)
  }

  /// Turns a key in place by the angles of a move.
  func turn(_ key: UnsafeMutablePointer<Float>, move: Int, _ kernels: InstructionSet) {
    guard halfDim > 0 else { return }
    turn(key, cosine: moveAngles.pointer + move * 2 * halfDim, kernels)
  }

  /// Turns a key in place by an angle for each pair, cosines followed by sines.
  func turn(_ key: UnsafeMutablePointer<Float>, cosine: UnsafePointer<Float>, _ kernels: InstructionSet) {
    kernels.rotate(
      key, out: key, heads: 1, headStride: shape.headDim, headDim: shape.headDim, rotaryDim: 2 * halfDim,
      layout: layout, cosine: cosine, sine: cosine + halfDim)
  }
}
