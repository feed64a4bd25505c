import CLibrary
import Kernels

/// A compressive memory in a step: the last segment is folded in before the first token of the next one reads, tokens of the
/// segment under way are taken in after attention, and what is read joins last, by the gate.
final class CompressiveReplay: LayerReplay {
  private var state: CompressiveState?
  /// What notes the step's tokens, where they may be taken back.
  private var undo: CompressiveUndo?
  private var segments: Int64 = 0
  private var floats = 0

  private static let ownRoles: Roles = [.before, .closes, .takesArrivals]
  override var roles: Roles { Self.ownRoles }

  override func prepare(_ group: HeadGroup, _ step: GroupReplay, threads: Int) {
    state = group.state(CompressiveState.self)
    undo = state?.noting
    segments = (group.ledger.stages.last as? CompressiveStage)?.segments ?? 0
    let rows = min(step.rows.count, step.shape.tileTokens) * step.headsPerTask
    floats = (2 * rows + 2) * step.shape.headDim
  }

  override var scratchFloats: Int { floats }

  override func units(phase: Int, layer: Int, threads: Int, _ step: GroupReplay) -> Int {
    phase == 0 && segments > 0 ? step.shape.keyValueHeads : 0
  }

  override func work(
    unit: Int, of units: Int, phase: Int, _ call: LayerCall, _ step: GroupReplay, _ scratch: ThreadScratch,
    _ kernels: InstructionSet
  ) {
    let place = step.place(layer: call.layer, head: unit)
    if place >= 0 { state?.fold(place: place, segments: segments) }
  }

  /// Gives each row the partial (log-sum-exp of the others + gate, 1, A_mem): their sum is then (1 - g) A_dot + g A_mem with
  /// g the sigmoid of the gate.
  override func close(
    _ task: AttentionTask, _ call: LayerCall, _ step: GroupReplay, firstRow: Int, _ scratch: ThreadScratch,
    _ kernels: InstructionSet
  ) {
    guard let state, segments > 0 || state.specification.firstSegment == .scaled else { return }
    let (dim, heads) = (step.shape.headDim, task.queryHeads.count)
    let (features, answers) = (scratch.floats, scratch.floats + task.rows * dim)
    let place = step.place(layer: call.layer, head: task.head)
    if segments > 0 {
      for row in 0..<task.rows {
        let query =
          call.queries
          + step.queryOffset(
            token: task.tokens.lowerBound + row / heads, head: task.queryHeads.lowerBound + row % heads)
        CompressiveState.features(of: query, count: dim, into: features + row * dim)
      }
      kernels.sumRows(
        of: state.memory(place: place), count: dim, columns: dim, weights: features, weightStride: dim, sums: task.rows,
        out: answers, outStride: dim)
    }
    let partial = scratch.partial
    for row in 0..<task.rows {
      let gate = state.specification.gate ?? call.gates?[task.queryHeads.lowerBound + row % heads] ?? -.infinity
      guard gate > -.infinity else { continue }
      let (maximum, sum) = (partial.maximum.pointer + firstRow + row, partial.sum.pointer + firstRow + row)
      let output = partial.output.pointer + (firstRow + row) * dim
      let exponent = maximum.pointee + log(sum.pointee) + gate
      let largest = max(maximum.pointee, exponent)
      let (old, new) = (exp(maximum.pointee - largest), exp(exponent - largest))
      var factor: Float = 0
      if segments > 0 {
        factor = new / state.divisor(features + row * dim, place: place)
        for index in 0..<dim { output[index] = output[index] * old + answers[row * dim + index] * factor }
      } else {
        for index in 0..<dim { output[index] *= old }
      }
      (maximum.pointee, sum.pointee) = (largest, sum.pointee * old + new)
    }
  }

  override func arrive(
    head: Int, _ call: LayerCall, _ step: GroupReplay, _ scratch: ThreadScratch, _ kernels: InstructionSet
  ) {
    let place = step.place(layer: call.layer, head: head)
    guard let state, place >= 0 else { return }
    for token in 0..<step.rows.count {
      let offset = step.keyValueOffset(token: token, head: head)
      let (key, value) = (call.keys + offset, call.values + offset)
      undo?.note(token, key: key, value: value, place: place)
      state.takeIn(key: key, value: value, place: place, scratch: scratch.floats, kernels)
    }
  }
}
