import Kernels

/// Where the tokens of a step go in one head of a cache that scores them.
///
/// First the contests are decided on scores and slot numbers alone; then each slot that changed hands gets its key and
/// value from where they lay before the step, turned once.
extension StepTables {
  /// A token on its way through the stages.
  private struct Carry {
    /// The chunk's token, or -2 − the slot in which it lay before the step.
    var origin: Int32
    /// The clock to which its key is rotated there.
    var clock: Int64
    var score: Float
  }

  /// Decides on and carries out the placements of the step for one KV head of the layer.
  func select(
    head: Int, _ call: LocalAttention.LayerCall, _ scratch: ThreadScratch, _ kernels: InstructionSet
  ) {
    guard let selection, place(layer: call.layer, head: head) >= 0 else { return }
    let slots = scratch.origins
    decide(head: head, call, slots, selection, scratch, kernels)
    // A token comes from an earlier stage or the chunk, so the last stage's slots can be overwritten first.
    for stage in (0..<selection.stageCount).reversed() {
      let range = selection.stageFirst.pointer[stage]..<selection.stageFirst.pointer[stage + 1]
      for index in 0..<slots.touchedCount where range.contains(slots.touched[index]) {
        fill(slots.touched[index], write: index, head: head, call, slots, scratch, kernels)
        note(slots.touched[index], head: call.layer * shape.keyValueHeads + head, slots, selection)
      }
    }
    slots.forget()
  }

  private func decide(
    head: Int, _ call: LocalAttention.LayerCall, _ slots: SlotOrigins, _ selection: SelectionTables,
    _ scratch: ThreadScratch, _ kernels: InstructionSet
  ) {
    let scores = selection.scores + place(layer: call.layer, head: head) * selection.slots
    let chunkScores = selection.chunkScores.pointer + head * rows.count
    let placements = selection.placements.pointer
    var token: Int32 = -1
    var carry = Carry(origin: 0, clock: 0, score: 0)
    for index in 0..<selection.placementCount {
      let placement = placements[index]
      if placement.token != token {
        token = placement.token
        carry = Carry(
          origin: token, clock: chunkPosition(token), score: comparable(chunkScores[Int(token)]))
      }
      switch placement.kind {
      case .take:
        put(carry, placement.slot, clock: placement.clock, slots, scores)
      case .exchange:
        let resident = resident(of: placement.slot, clock: placement.fallingClock, slots, scores)
        put(carry, placement.slot, clock: placement.clock, slots, scores)
        carry = resident
      case .contest:
        if carry.score >= comparable(scores[Int(placement.slot)]) {
          put(carry, placement.slot, clock: placement.clock, slots, scores)
        }
      case .challenge:
        let lowest = lowest(placement.slot..<placement.lastSlot, scores)
        if carry.score >= comparable(scores[Int(lowest)]) {
          let loser = resident(of: lowest, clock: placement.clock, slots, scores)
          put(carry, lowest, clock: placement.clock, slots, scores)
          carry = loser
        }
      case .melt:
        melt(carry, clock: placement.clock, head: head, call, scratch, kernels)
      }
    }
  }

  /// The place in the stream of a token of the chunk.
  private func chunkPosition(_ token: Int32) -> Int64 { firstPosition + Int64(token) }

  /// Broken numbers lose every comparison.
  private func comparable(_ score: Float) -> Float { score.isNaN ? -.infinity : score }

  private func resident(
    of slot: Int32, clock: Int64, _ slots: SlotOrigins, _ scores: UnsafeMutablePointer<Float>
  ) -> Carry {
    let score = comparable(scores[Int(slot)])
    guard slots.origin[Int(slot)] != SlotOrigins.unmoved else {
      return Carry(origin: -2 - slot, clock: clock, score: score)
    }
    return Carry(origin: slots.origin[Int(slot)], clock: slots.originClock[Int(slot)], score: score)
  }

  private func put(
    _ carry: Carry, _ slot: Int32, clock: Int64, _ slots: SlotOrigins, _ scores: UnsafeMutablePointer<Float>
  ) {
    scores[Int(slot)] = carry.score
    slots.put(
      origin: carry.origin, clock: carry.clock, into: slot,
      at: clock == SelectionTables.Placement.asItComes ? carry.clock : clock)
  }

  private func lowest(_ range: Range<Int32>, _ scores: UnsafeMutablePointer<Float>) -> Int32 {
    var lowest = range.lowerBound
    var score = comparable(scores[Int(lowest)])
    for slot in range.dropFirst() where !(scores[Int(slot)] >= score) {
      lowest = slot
      score = comparable(scores[Int(slot)])
    }
    return lowest
  }

  /// Writes the key and value of a slot that changed hands, as the head's `write`-th of the step.
  private func fill(
    _ slot: Int32, write: Int, head: Int, _ call: LocalAttention.LayerCall, _ slots: SlotOrigins,
    _ scratch: ThreadScratch, _ kernels: InstructionSet
  ) {
    let index = Int(slot)
    let storage = storage(head: head, call)
    undoLog?.spill(
      storage, (0, index), write: write, place: place(layer: call.layer, head: head), row: scratch.key.pointer, kernels)
    let turn = slots.clock[index] - slots.originClock[index]
    let value = fetch(slots.origin[index], turn: turn, head: head, call, scratch, kernels)
    kernels.writeKey(scratch.key.pointer, to: index, of: storage)
    kernels.writeValue(value, to: index, of: storage)
  }

  /// Lets a token melt, which lies where it lay before the step.
  private func melt(
    _ carry: Carry, clock: Int64, head: Int, _ call: LocalAttention.LayerCall, _ scratch: ThreadScratch,
    _ kernels: InstructionSet
  ) {
    // The loser of a challenge that keeps places in the stream has no clock, and turns by none.
    let turn = clock == SelectionTables.Placement.asItComes ? 0 : clock - carry.clock
    let value = fetch(carry.origin, turn: turn, head: head, call, scratch, kernels)
    summary?.melt(
      key: scratch.key.pointer, value: value, head: place(layer: call.layer, head: head),
      scratch: scratch.summary.pointer, kernels)
  }

  /// Brings the key of a token into the scratch, turned; returns where its value is.
  private func fetch(
    _ origin: Int32, turn: Int64, head: Int, _ call: LocalAttention.LayerCall, _ scratch: ThreadScratch,
    _ kernels: InstructionSet
  ) -> UnsafePointer<Float> {
    let (key, value) = (scratch.key.pointer, scratch.value.pointer)
    var source = UnsafePointer(value)
    if origin >= 0 {
      let offset = keyValueOffset(token: Int(origin), head: head)
      rotate(call.keys + offset, into: key, heads: 1, clock: 0, token: Int(origin), kernels)
      source = call.values + offset
    } else {
      let storage = storage(head: head, call)
      kernels.readKey(Int(-2 - origin), of: storage, to: key)
      kernels.readValue(Int(-2 - origin), of: storage, to: value)
    }
    if turn != 0, halfDim > 0 {
      self.turn(
        key, cosine: scratch.turns.angles(of: turn, frequencies: frequencies.pointer, count: halfDim), kernels)
    }
    return source
  }

  /// All stages of a cache that scores its tokens are bounded and share the first block.
  private func storage(head: Int, _ call: LocalAttention.LayerCall) -> SlotStorage {
    blocks.pointer[0].slots(head: place(layer: call.layer, head: head), type: type, headDim: shape.headDim)
  }

  /// Notes which token a slot that changed hands holds now, where that was asked for.
  private func note(_ slot: Int32, head: Int, _ slots: SlotOrigins, _ selection: SelectionTables) {
    guard let tokens = selection.tokens.map({ $0 + head * selection.slots }) else { return }
    let origin = slots.origin[Int(slot)]
    tokens[Int(slot)] = origin >= 0 ? chunkPosition(origin) : tokens[Int(-2 - origin)]
  }
}
