import CLibrary
import Kernels

/// Tokens that melt together, in a step.
final class SummaryReplay: LayerReplay {
  private var summary: StageSummary?
  /// By how much the query clock's position is more than that of what melted together, at the chunk's first token.
  private var distance: Float = 0
  /// Over how many more positions what melted together is spread.
  private var spread: Float = 0
  /// The chunk's tokens that come while the exact stages have room.
  private var arrivalsToObserve = 0
  private var floats = 0

  private static let ownRoles: Roles = [.attends, .absorbs, .takesArrivals]
  override var roles: Roles { Self.ownRoles }

  override func prepare(_ group: HeadGroup, _ step: GroupReplay, threads: Int) {
    summary = group.state(StageSummary.self)
    let clock = step.stateClock?.clock
    distance = clock.map { Float($0.first) } ?? 0
    spread = clock.map { Float($0.spread) } ?? 0
    let room = Int64(group.ledger.capacity ?? 0) - step.firstPosition
    arrivalsToObserve = Int(max(0, min(Int64(step.rows.count), room)))
    floats = summary?.scratchFloats(rows: min(step.rows.count, step.shape.tileTokens) * step.headsPerTask) ?? 0
  }

  override var scratchFloats: Int { floats }

  override func attend(
    _ task: AttentionTask, _ call: LayerCall, _ step: GroupReplay, share: WorkShare, firstRow: Int,
    _ scratch: ThreadScratch, _ kernels: InstructionSet
  ) {
    guard let summary, let clock = step.stateClock?.index else { return }
    step.rotateQueries(task, call, clock: clock, scratch, kernels)
    let rows = QueryRows(
      scratch.queries.pointer, stride: step.shape.headDim, count: task.rows, rowsPerToken: task.queryHeads.count,
      softCap: call.softCap)
    let maxima = scratch.partial.maximum.pointer + firstRow
    if step.positions.isLinearBias { shift(maxima, task, step, clock: clock, by: 1) }
    summary.attend(
      rows, head: step.place(layer: call.layer, head: task.head), share: share,
      partial: scratch.partial.rows(from: firstRow), kernelScratch: scratch.kernelScratch.pointer,
      scratch: scratch.floats, kernels)
    if step.positions.isLinearBias { shift(maxima, task, step, clock: clock, by: -1) }
  }

  /// Shifts the maxima of a task's rows by what ALiBi takes off the logits of everything that melted together, all of it at
  /// one distance; or spread evenly behind it, where exp of the bias is averaged.
  private func shift(
    _ maxima: UnsafeMutablePointer<Float>, _ task: AttentionTask, _ step: GroupReplay, clock: Int, by sign: Float
  ) {
    let slope = step.positions.slopes.pointer[task.queryHeads.lowerBound]
    let range = slope * spread
    let further = range > 0 ? log(range / (1 - exp(-range))) : 0
    for token in task.tokens {
      let distance = distance - step.positions.lag(clock: clock, token: token)
      maxima[token - task.tokens.lowerBound] += sign * (slope * distance + further)
    }
  }

  /// Shows the summary the keys of the chunk, where it wants to see them; only while the exact stages have room, so that it
  /// has seen the same of a stream, however that was cut into chunks, when the first token melts.
  override func arrive(
    head: Int, _ call: LayerCall, _ step: GroupReplay, _ scratch: ThreadScratch, _ kernels: InstructionSet
  ) {
    guard let summary, summary.observesArrivals else { return }
    let place = step.place(layer: call.layer, head: head)
    for token in 0..<arrivalsToObserve {
      var key = call.keys + step.keyValueOffset(token: token, head: head)
      if !summary.isClipped {
        _ = step.key(of: token, head: head, call, to: scratch.key.pointer, kernels)
        key = UnsafePointer(scratch.key.pointer)
      }
      summary.observe(key: key, head: place, scratch: scratch.floats, kernels)
    }
  }

  override func absorb(
    key: UnsafePointer<Float>, value: UnsafePointer<Float>, place: Int, _ scratch: ThreadScratch,
    _ kernels: InstructionSet
  ) {
    summary?.melt(key: key, value: value, head: place, scratch: scratch.floats, kernels)
  }
}
