import Kernels

/// The moves of a step that are the same for all heads, in flat buffers.
final class PlannedMoves {
  /// A key and a value that go into a slot, or are absorbed.
  private struct Move {
    /// The chunk's token, or -1 where they come from a slot.
    var token: Int
    /// Where they come from, else.
    var source: SlotPlace
    /// The slot, or none where they are absorbed.
    var target: SlotPlace
    /// What the key still has to turn by, in positions.
    var turn: Int64
  }

  private var moves = GrowingBuffer<Move>()
  private(set) var count = 0
  /// Whether moves may run in any order.
  private(set) var areIndependent = true
  /// Cosines then sines of moves that turn, `[move, (cosine | sine), pair]`.
  private var angles = GrowingBuffer<Float>()

  func prepare(_ step: StepPlan, _ slots: SlotStore, _ positions: PositionEncoding) {
    areIndependent = step.movesAreIndependent
    count = step.moves.count
    moves.reserve(count)
    for (index, move) in step.moves.enumerated() {
      var record = Move(
        token: -1, source: .none, target: move.slot.map { slots.place(ofSlot: $0, stage: move.stage) } ?? .none,
        turn: 0)
      switch move.source {
      case .chunk(let token):
        record.token = token
        record.turn = move.clock - step.clocks[0].position(token)
      case .slot(let stage, let slot, let clock):
        record.source = slots.place(ofSlot: slot, stage: stage)
        record.turn = move.clock - clock
      }
      moves.pointer[index] = record
    }
    if case .rotary(let rotary) = positions { prepareAngles(rotary) }
  }

  private func prepareAngles(_ rotary: RotaryEmbedding) {
    let half = rotary.dim / 2
    for index in 0..<count where moves.pointer[index].turn != 0 {
      angles.reserve(count * 2 * half)
      let target = angles.pointer + index * 2 * half
      rotary.angles(at: moves.pointer[index].turn, cosine: target, sine: target + half)
    }
  }

  /// Carries out a range of moves for one KV head of the layer.
  func carryOut(
    _ range: Range<Int>, head: Int, _ step: GroupReplay, _ call: LayerCall, _ scratch: ThreadScratch,
    _ kernels: InstructionSet
  ) {
    let place = step.place(layer: call.layer, head: head)
    let (key, value) = (scratch.key.pointer, scratch.value.pointer)
    for index in range {
      let move = moves.pointer[index]
      if move.target.block >= 0, !step.stores(move.target) { continue }
      var valueSource = UnsafePointer(value)
      if move.token >= 0 {
        valueSource = step.key(of: move.token, head: head, call, to: key, kernels)
      } else {
        let slots = step.slots(ofBlock: move.source.block, place: place)
        kernels.readKey(move.source.slot, of: slots, to: key)
        kernels.readValue(move.source.slot, of: slots, to: value)
      }
      if move.turn != 0 {
        let pairs = step.positions.halfDim
        step.positions.turn(key, cosine: angles.pointer + index * 2 * pairs, kernels)
      }
      if move.target.block >= 0 {
        step.write(
          key: key, value: valueSource, to: move.target, origin: move.token >= 0 ? move.token : -2 - move.source.slot,
          write: index, layer: call.layer, place: place, scratch, kernels)
      } else {
        step.absorber.absorb(key: key, value: valueSource, place: place, scratch, kernels)
      }
    }
  }
}
