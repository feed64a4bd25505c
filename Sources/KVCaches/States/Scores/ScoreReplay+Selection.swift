import Kernels

/// Where the tokens of a step go in one head of a cache that scores them.
///
/// First the contests are decided on scores and slot numbers alone; then each slot that changed hands gets its key and
/// value from where they lay before the step, turned once.
extension ScoreReplay {
  /// A token on its way through the stages.
  private struct Carry {
    /// The chunk's token, or -2 − the slot in which it lay before the step.
    var origin: Int32
    /// The clock to which its key is rotated there.
    var clock: Int64
    var score: Double
  }

  /// The head for which contests are decided.
  private struct Head {
    let head, place: Int
    let call: LayerCall
    let step: GroupReplay
    let selection: SelectionScratch
    let scratch: ThreadScratch
    let kernels: InstructionSet
  }

  /// Decides on and carries out the placements of the step for one KV head of the layer.
  func select(
    head: Int, _ call: LayerCall, _ step: GroupReplay, _ selection: SelectionScratch, _ scratch: ThreadScratch,
    _ kernels: InstructionSet
  ) {
    let head = Head(
      head: head, place: step.place(layer: call.layer, head: head), call: call, step: step, selection: selection,
      scratch: scratch, kernels: kernels)
    let origins = selection.origins
    decide(head)
    // A token comes from an earlier stage or the chunk, so the last stage's slots can be overwritten first.
    for stage in (0..<stageCount).reversed() {
      let range = stageFirst.pointer[stage]..<stageFirst.pointer[stage + 1]
      for index in 0..<origins.touchedCount where range.contains(origins.touched[index]) {
        fill(Int(origins.touched[index]), write: index, head)
      }
    }
    origins.forget()
  }

  private func decide(_ head: Head) {
    let scores = scores + head.place * slots
    let chunkScores = chunkScores.pointer + head.head * head.step.rows.count
    let origins = head.selection.origins
    var token: Int32 = -1
    var carry = Carry(origin: 0, clock: 0, score: 0)
    for index in 0..<placementCount {
      let placement = placements.pointer[index]
      if placement.token != token {
        token = placement.token
        carry = Carry(
          origin: token, clock: head.step.firstPosition + Int64(token),
          score: comparable(Double(chunkScores[Int(token)])))
      }
      switch placement.kind {
      case .take:
        put(carry, placement.slot, clock: placement.clock, origins, scores)
      case .exchange:
        let resident = resident(of: placement.slot, clock: placement.fallingClock, origins, scores)
        put(carry, placement.slot, clock: placement.clock, origins, scores)
        carry = resident
      case .contest:
        if carry.score >= comparable(scores[Int(placement.slot)]) {
          put(carry, placement.slot, clock: placement.clock, origins, scores)
        }
      case .challenge:
        let lowest = lowest(placement.slot..<placement.lastSlot, scores)
        if carry.score >= comparable(scores[Int(lowest)]) {
          let loser = resident(of: lowest, clock: placement.clock, origins, scores)
          put(carry, lowest, clock: placement.clock, origins, scores)
          carry = loser
        }
      case .absorb:
        absorb(carry, clock: placement.clock, head)
      }
    }
  }

  /// Broken numbers lose every comparison.
  private func comparable(_ score: Double) -> Double { score.isNaN ? -.infinity : score }

  private func resident(
    of slot: Int32, clock: Int64, _ origins: SlotOrigins, _ scores: UnsafeMutablePointer<Double>
  ) -> Carry {
    let score = comparable(scores[Int(slot)])
    guard origins.origin[Int(slot)] != SlotOrigins.unmoved else {
      return Carry(origin: -2 - slot, clock: clock, score: score)
    }
    return Carry(origin: origins.origin[Int(slot)], clock: origins.originClock[Int(slot)], score: score)
  }

  private func put(
    _ carry: Carry, _ slot: Int32, clock: Int64, _ origins: SlotOrigins, _ scores: UnsafeMutablePointer<Double>
  ) {
    scores[Int(slot)] = carry.score
    origins.put(
      origin: carry.origin, clock: carry.clock, into: slot, at: clock == Placement.asItComes ? carry.clock : clock)
  }

  private func lowest(_ range: Range<Int32>, _ scores: UnsafeMutablePointer<Double>) -> Int32 {
    var lowest = range.lowerBound
    var score = comparable(scores[Int(lowest)])
    for slot in range.dropFirst() where !(scores[Int(slot)] >= score) {
      lowest = slot
      score = comparable(scores[Int(slot)])
    }
    return lowest
  }

  /// Writes the key and value of a slot that changed hands, as the head's `write`-th of the step.
  private func fill(_ slot: Int, write: Int, _ head: Head) {
    let origins = head.selection.origins
    let origin = origins.origin[slot]
    let value = fetch(origin, turn: origins.clock[slot] - origins.originClock[slot], head)
    head.step.write(
      key: head.scratch.key.pointer, value: value, to: SlotPlace(block: 0, slot: slot), origin: Int(origin),
      write: write, layer: head.call.layer, place: head.place, head.scratch, head.kernels)
  }

  /// Hands a token without a slot on; it lies where it lay before the step.
  private func absorb(_ carry: Carry, clock: Int64, _ head: Head) {
    // The loser of a challenge that keeps places in the stream has no clock, and turns by none.
    let turn = clock == Placement.asItComes ? 0 : clock - carry.clock
    let value = fetch(carry.origin, turn: turn, head)
    head.step.absorber.absorb(
      key: head.scratch.key.pointer, value: value, place: head.place, head.scratch, head.kernels)
  }

  /// Brings the key of a token into the scratch, turned; returns where its value is.
  private func fetch(_ origin: Int32, turn: Int64, _ head: Head) -> UnsafePointer<Float> {
    let (key, value) = (head.scratch.key.pointer, head.scratch.value.pointer)
    var source = UnsafePointer(value)
    if origin >= 0 {
      source = head.step.key(of: Int(origin), head: head.head, head.call, to: key, head.kernels)
    } else {
      // All stages of a cache that scores its tokens are bounded and share the first block.
      let slots = head.step.slots(ofBlock: 0, place: head.place)
      head.kernels.readKey(Int(-2 - origin), of: slots, to: key)
      head.kernels.readValue(Int(-2 - origin), of: slots, to: value)
    }
    let pairs = head.step.positions.halfDim
    if turn != 0, pairs > 0 {
      let angles = head.selection.turns.angles(
        of: turn, frequencies: head.step.positions.frequencies.pointer, count: pairs)
      head.step.positions.turn(key, cosine: angles, head.kernels)
    }
    return source
  }
}
