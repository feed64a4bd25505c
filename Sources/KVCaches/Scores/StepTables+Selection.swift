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
    guard let selection else { return }
    let slots = scratch.origins
    decide(head: head, layer: call.layer, slots, selection)
    // A token comes from an earlier stage or the chunk, so the last stage's slots can be overwritten first.
    for stage in (0..<selection.stageCount).reversed() {
      let range = selection.stageFirst.pointer[stage]..<selection.stageFirst.pointer[stage + 1]
      for index in 0..<slots.touchedCount where range.contains(slots.touched[index]) {
        fill(slots.touched[index], head: head, call, slots, scratch, kernels)
        note(slots.touched[index], head: call.layer * shape.keyValueHeads + head, slots, selection)
      }
    }
    slots.forget()
  }

  private func decide(head: Int, layer: Int, _ slots: SlotOrigins, _ selection: SelectionTables) {
    let scores = selection.scores + (layer * shape.keyValueHeads + head) * selection.slots
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
          put(carry, lowest, clock: placement.clock, slots, scores)
        }
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

  /// Writes the key and value of a slot that changed hands.
  private func fill(
    _ slot: Int32, head: Int, _ call: LocalAttention.LayerCall, _ slots: SlotOrigins, _ scratch: ThreadScratch,
    _ kernels: InstructionSet
  ) {
    // All stages of a cache that scores its tokens are bounded and share the first block.
    let storage = blocks.pointer[0].slots(
      head: call.layer * shape.keyValueHeads + head, type: type, headDim: shape.headDim)
    let (key, value) = (scratch.key.pointer, scratch.value.pointer)
    let origin = Int(slots.origin[Int(slot)])
    var source = UnsafePointer(value)
    if origin >= 0 {
      let offset = keyValueOffset(token: origin, head: head)
      rotate(call.keys + offset, into: key, heads: 1, clock: 0, token: origin, kernels)
      source = call.values + offset
    } else {
      kernels.readKey(-2 - origin, of: storage, to: key)
      kernels.readValue(-2 - origin, of: storage, to: value)
    }
    let turn = slots.clock[Int(slot)] - slots.originClock[Int(slot)]
    if turn != 0, halfDim > 0 {
      self.turn(
        key, cosine: scratch.turns.angles(of: turn, frequencies: frequencies.pointer, count: halfDim), kernels)
    }
    kernels.writeKey(key, to: Int(slot), of: storage)
    kernels.writeValue(source, to: Int(slot), of: storage)
  }

  /// Notes which token a slot that changed hands holds now, where that was asked for.
  private func note(_ slot: Int32, head: Int, _ slots: SlotOrigins, _ selection: SelectionTables) {
    guard let tokens = selection.tokens.map({ $0 + head * selection.slots }) else { return }
    let origin = slots.origin[Int(slot)]
    tokens[Int(slot)] = origin >= 0 ? chunkPosition(origin) : tokens[Int(-2 - origin)]
  }
}
