import CLibrary
import Kernels

/// Tokens that melt together, in one layer.
extension StepTables {
  /// Attends with the rotated queries of a task to a share of what melted together.
  func attendToSummary(
    _ task: LocalAttention.Task, _ call: LocalAttention.LayerCall, share: (index: Int, count: Int), firstRow: Int,
    _ scratch: ThreadScratch, _ kernels: InstructionSet
  ) {
    guard let summary, summaryClock >= 0 else { return }
    rotateQueries(task, call, clock: summaryClock, scratch, kernels)
    let rows = QueryRows(
      scratch.queries.pointer, stride: shape.headDim, count: task.tokens.count * task.queryHeads.count,
      rowsPerToken: task.queryHeads.count)
    if isLinearBias { shiftToSummary(scratch.partial.maximum.pointer + firstRow, task, by: 1) }
    summary.attend(
      rows, head: place(layer: call.layer, head: task.head), share: share,
      partial: scratch.partial.rows(from: firstRow),
      kernelScratch: scratch.kernelScratch.pointer, scratch: scratch.summary.pointer, kernels)
    if isLinearBias { shiftToSummary(scratch.partial.maximum.pointer + firstRow, task, by: -1) }
  }

  /// Shifts the maxima of a task's rows by what ALiBi takes off the logits of everything that melted together, all of it at
  /// one distance; or spread evenly behind it, where exp of the bias is averaged.
  private func shiftToSummary(_ maxima: UnsafeMutablePointer<Float>, _ task: LocalAttention.Task, by sign: Float) {
    let slope = slopes.pointer[task.queryHeads.lowerBound]
    let range = slope * summarySpread
    let further = range > 0 ? log(range / (1 - exp(-range))) : 0
    for token in task.tokens {
      let distance = summaryDistance - lags.pointer[summaryClock * rows.count + token]
      maxima[token - task.tokens.lowerBound] += sign * (slope * distance + further)
    }
  }

  /// Shows the summary the keys of the chunk, where it wants to see them; only while the exact stages have room, so that it
  /// has seen the same of a stream, however that was cut into chunks, when the first token melts.
  func observeArrivals(
    head: Int, _ call: LocalAttention.LayerCall, _ scratch: ThreadScratch, _ kernels: InstructionSet
  ) {
    let place = place(layer: call.layer, head: head)
    guard let summary, summary.observesArrivals, place >= 0 else { return }
    for token in 0..<arrivalsToObserve {
      var key = call.keys + keyValueOffset(token: token, head: head)
      if !summaryIsClipped {
        rotate(key, into: scratch.key.pointer, heads: 1, clock: 0, token: token, kernels)
        key = UnsafePointer(scratch.key.pointer)
      }
      summary.observe(
        key: key, head: place, scratch: scratch.summary.pointer, kernels)
    }
  }
}
