import Kernels

/// What one sequence's step needs in every layer: angles, and the chunk's own keys and values in slots.
///
/// The buffers grow to the largest chunk seen and are then reused.
final class StepTables {
  private let shape: KVCache.Shape
  private var tokens = 0
  /// Cosines then sines of each query clock, `[clock, token, (cosine | sine), rotaryDim / 2]`.
  private var angles: Buffer<Float>?
  /// Cosines then sines of moves whose clock is not their place in the stream, `[move, (cosine | sine), rotaryDim / 2]`.
  private var moveAngles: Buffer<Float>?
  /// The chunk's keys and values as one block of slots, one layer at a time.
  private var chunk: StageStorage?
  /// ALiBi only: one bias a slot, `[slot]`.
  private var halfDim = 0

  init(shape: KVCache.Shape) { self.shape = shape }

  func prepare(_ cache: KVCache, tokens: Int) {
    self.tokens = tokens
    let oneLayer = KVCache.Shape(
      layers: 1, queryHeads: shape.queryHeads, keyValueHeads: shape.keyValueHeads, headDim: shape.headDim)
    let type = cache.slotType.elementType
    if chunk == nil || chunk!.slotsPerBlock < tokens || chunk!.type != type {
      chunk = StageStorage(type: type, shape: oneLayer, capacity: tokens)
    }
    guard case .rotary(let rotary) = cache.positions else {
      halfDim = 0
      return
    }
    halfDim = rotary.dim / 2
    let step = cache.step
    let needed = step.clocks.count * tokens * 2 * halfDim
    if (angles?.count ?? 0) < needed { angles = Buffer(count: needed) }
    for (index, clock) in step.clocks.enumerated() {
      for token in 0..<tokens {
        let target = cosine(clock: index, token: token)
        rotary.angles(at: clock.position(token), cosine: target, sine: target + halfDim)
      }
    }
    prepareMoves(step, rotary)
  }

  /// Angles by which a moved key still has to turn; chunk keys at their place in the stream use the chunk's own.
  private func prepareMoves(_ step: StepPlan, _ rotary: RotaryEmbedding) {
    let needed = step.moves.count * 2 * halfDim
    guard step.moves.contains(where: { turn(of: $0, step) != 0 }) else { return }
    if (moveAngles?.count ?? 0) < needed { moveAngles = Buffer(count: needed) }
    for (index, move) in step.moves.enumerated() {
      let turn = turn(of: move, step)
      let target = moveAngles!.pointer + index * 2 * halfDim
      if turn != 0 { rotary.angles(at: turn, cosine: target, sine: target + halfDim) }
    }
  }

  /// The angle, in positions, between where a key's rotation comes from (its place in the stream, or the clock of its
  /// slot) and where the move wants it.
  private func turn(of move: StepPlan.Move, _ step: StepPlan) -> Int64 {
    switch move.source {
    case .chunk(let token): move.clock - step.clocks[0].position(token)
    case .slot(_, _, let clock): move.clock - clock
    }
  }

  private func cosine(clock: Int, token: Int) -> UnsafeMutablePointer<Float> {
    angles!.pointer + (clock * tokens + token) * 2 * halfDim
  }

  /// Rotates `heads` vectors of `headDim` of one token by a query clock.
  private func rotate(
    _ source: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>, heads: Int, clock: Int, token: Int,
    positions: PositionEncoding, _ kernels: InstructionSet
  ) {
    guard case .rotary(let rotary) = positions else {
      target.update(from: source, count: heads * shape.headDim)
      return
    }
    let cosine = cosine(clock: clock, token: token)
    kernels.rotate(
      source, out: target, heads: heads, headStride: shape.headDim, headDim: shape.headDim, rotaryDim: rotary.dim,
      layout: rotary.layout, cosine: cosine, sine: cosine + halfDim)
  }

  /// Writes keys and values of chunk tokens into the chunk's own slots, rotated by their place in the stream.
  func storeChunk(
    _ tokens: Range<Int>, of segment: LocalAttention.Segment, _ call: LocalAttention.LayerCall,
    _ kernels: InstructionSet
  ) {
    let width = shape.keyValueHeads * shape.headDim
    withUnsafeTemporaryAllocation(of: Float.self, capacity: shape.headDim) { rotated in
      for token in tokens {
        let row = (segment.rows.lowerBound + token) * width
        for head in 0..<shape.keyValueHeads {
          let offset = row + head * shape.headDim
          rotate(
            call.keys + offset, into: rotated.baseAddress!, heads: 1, clock: 0, token: token,
            positions: segment.cache.positions, kernels)
          let slots = chunk!.slots(layer: 0, head: head, block: 0)
          kernels.writeKey(rotated.baseAddress!, to: token, of: slots)
          kernels.writeValue(call.values + offset, to: token, of: slots)
        }
      }
    }
  }

  /// Attends with the queries of a task to a share of every run, and (first share) to the chunk itself.
  func attend(
    _ task: LocalAttention.Task, of segment: LocalAttention.Segment, _ call: LocalAttention.LayerCall,
    share: (index: Int, count: Int), firstRow: Int, scratch: ThreadScratch, _ kernels: InstructionSet
  ) {
    let cache = segment.cache
    let step = cache.step
    let rows = task.tokens.count * shape.groupSize
    var clock = -1
    for reading in step.readings {
      let slots = Self.share(share, of: reading.slots)
      guard !slots.isEmpty else { continue }
      if reading.clock != clock {
        clock = reading.clock
        rotateQueries(task, of: segment, call, clock: clock, scratch, kernels)
      }
      let storage = cache.storage[reading.stage]
      step.withVisible(reading, from: task.tokens.lowerBound) { first, last in
        scratch.attend(
          storage.slots(layer: call.layer, head: task.head, block: reading.block), run: slots, rows: rows,
          group: shape.groupSize, firstRow: firstRow, visibleFirst: first, visibleLast: last, kernels)
      }
    }
    guard share.index == share.count - 1 else { return }
    if clock != 0 { rotateQueries(task, of: segment, call, clock: 0, scratch, kernels) }
    for token in task.tokens {
      scratch.chunkFirst.pointer[token - task.tokens.lowerBound] = Int32(step.firstVisibleChunkToken(token))
      scratch.chunkLast.pointer[token - task.tokens.lowerBound] = Int32(token + 1)
    }
    let first = step.firstVisibleChunkToken(task.tokens.lowerBound)
    scratch.attend(
      chunk!.slots(layer: 0, head: task.head, block: 0), run: first..<task.tokens.upperBound, rows: rows,
      group: shape.groupSize, firstRow: firstRow, visibleFirst: UnsafePointer(scratch.chunkFirst.pointer),
      visibleLast: UnsafePointer(scratch.chunkLast.pointer), kernels)
  }

  /// The part of a run that one of several threads takes, cut at panels of 16 slots.
  private static func share(_ share: (index: Int, count: Int), of slots: Range<Int>) -> Range<Int> {
    guard share.count > 1 else { return slots }
    let panels = (slots.count + 15) / 16
    let first = slots.lowerBound + panels * share.index / share.count * 16
    let last = slots.lowerBound + panels * (share.index + 1) / share.count * 16
    return min(first, slots.upperBound)..<min(last, slots.upperBound)
  }

  private func rotateQueries(
    _ task: LocalAttention.Task, of segment: LocalAttention.Segment, _ call: LocalAttention.LayerCall, clock: Int,
    _ scratch: ThreadScratch, _ kernels: InstructionSet
  ) {
    let groupWidth = shape.groupSize * shape.headDim
    for token in task.tokens {
      let row = segment.rows.lowerBound + token
      let source = call.queries + row * shape.queryHeads * shape.headDim + task.head * groupWidth
      let target = scratch.queries.pointer + (token - task.tokens.lowerBound) * groupWidth
      rotate(
        source, into: target, heads: shape.groupSize, clock: clock, token: token, positions: segment.cache.positions,
        kernels)
    }
    kernels.scale(
      scratch.queries.pointer, by: 1 / Float(shape.headDim).squareRoot(), count: task.tokens.count * groupWidth)
  }

  /// Carries out moves for one KV head of the layer.
  func move(
    _ moves: Range<Int>, head: Int, of segment: LocalAttention.Segment, _ call: LocalAttention.LayerCall,
    _ scratch: ThreadScratch, _ kernels: InstructionSet
  ) {
    let cache = segment.cache
    let step = cache.step
    let (key, value) = (scratch.key.pointer, scratch.value.pointer)
    for index in moves {
      let move = step.moves[index]
      var valueSource = UnsafePointer(value)
      switch move.source {
      case .chunk(let token):
        let row = segment.rows.lowerBound + token
        let offset = (row * shape.keyValueHeads + head) * shape.headDim
        rotate(call.keys + offset, into: key, heads: 1, clock: 0, token: token, positions: cache.positions, kernels)
        valueSource = call.values + offset
      case .slot(let stage, let slot, _):
        let (block, place) = slot.quotientAndRemainder(dividingBy: cache.storage[stage].slotsPerBlock)
        let slots = cache.storage[stage].slots(layer: call.layer, head: head, block: block)
        kernels.readKey(place, of: slots, to: key)
        kernels.readValue(place, of: slots, to: value)
      }
      if turn(of: move, step) != 0, case .rotary(let rotary) = cache.positions {
        let cosine = moveAngles!.pointer + index * 2 * halfDim
        kernels.rotate(
          key, out: key, heads: 1, headStride: shape.headDim, headDim: shape.headDim, rotaryDim: rotary.dim,
          layout: rotary.layout, cosine: cosine, sine: cosine + halfDim)
      }
      let (block, place) = move.slot.quotientAndRemainder(dividingBy: cache.storage[move.stage].slotsPerBlock)
      let slots = cache.storage[move.stage].slots(layer: call.layer, head: head, block: block)
      kernels.writeKey(key, to: place, of: slots)
      kernels.writeValue(valueSource, to: place, of: slots)
    }
  }
}
