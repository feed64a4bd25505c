import Kernels

/// Attention of a group's tasks in one layer.
extension GroupReplay {
  /// Starts the partials of a task at row `firstRow`: empty, or from learned sink logits, `[query head]`.
  func start(
    _ task: AttentionTask, firstRow: Int, sinkLogits: UnsafePointer<Float>?, _ scratch: ThreadScratch
  ) {
    let heads = task.queryHeads
    scratch.partial.reset(rows: firstRow..<firstRow + task.rows)
    guard let sinkLogits, attendsChunk else { return }
    for (index, token) in task.tokens.enumerated() {
      for head in heads {
        // Logits of ALiBi are kept relative to the chunk's first token, see `StepPositions`.
        let bias = positions.isLinearBias ? positions.slopes.pointer[head] * Float(token) : 0
        scratch.partial.add(
          sinkLogit: sinkLogits[head] + bias, row: firstRow + index * heads.count + head - heads.lowerBound)
      }
    }
  }

  /// Attends with the queries of a task to a share of every run, (last share) to the chunk itself, and to what states keep.
  ///
  /// - Parameter kept: where to keep the weights for `addColumns`; nil where nobody asks for them.
  /// - Returns: floats of kept weights.
  @discardableResult
  func attend(
    _ task: AttentionTask, _ call: LayerCall, share: WorkShare, firstRow: Int,
    keeping kept: UnsafeMutablePointer<Float>? = nil, scratch: ThreadScratch, _ kernels: InstructionSet
  ) -> Int {
    let (rowCount, keepsHalves) = (task.rows, keeper.keepsHalves)
    var clock = -1
    var keptFloats = 0
    forEachRun(of: task, share: share, phase: call.phase) { run, slots in
      if run.clock != clock {
        clock = run.clock
        rotateQueries(task, call, clock: clock, scratch, kernels)
      }
      let head = run.block == chunkBlock ? task.head : place(layer: call.layer, head: task.head)
      let storage = self.slots(ofBlock: run.block, place: head)
      // Heads of a packed block hold different numbers of tokens.
      let slots = min(slots.lowerBound, storage.slots)..<min(slots.upperBound, storage.slots)
      guard !slots.isEmpty else { return }
      var logWeights = blocks.pointer[run.block].logWeights(head: head)
      if positions.isLinearBias {
        let distances = positions.distances.pointer + run.distances + slots.lowerBound - run.first
        logWeights = scratch.setBias(
          slots: slots, distances: distances, slope: positions.slopes.pointer[task.queryHeads.lowerBound])
        positions.shift(scratch.partial.maximum.pointer + firstRow, task, clock: run.clock, by: -1)
      }
      let bounds = readings.bounds(of: run, task)
      scratch.attend(
        storage, run: slots, rows: rowCount, group: task.queryHeads.count, softCap: call.softCap, firstRow: firstRow,
        logWeights: logWeights,
        visibleFirst: bounds.first, visibleLast: bounds.last, keeping: kept.map { $0 + keptFloats },
        asHalves: keepsHalves, kernels)
      if positions.isLinearBias {
        positions.shift(scratch.partial.maximum.pointer + firstRow, task, clock: run.clock, by: 1)
      }
      if kept != nil { keptFloats += InstructionSet.keptFloats(rows: rowCount, slots: slots.count) }
    }
    forEach(.attends) { $0.attend(task, call, self, share: share, firstRow: firstRow, scratch, kernels) }
    return keptFloats
  }

  /// Floats in which `attend` keeps the weights of a task.
  func keptFloats(rows count: Int) -> Int {
    let all = readings.all
    var floats = InstructionSet.keptFloats(rows: count, slots: rows.count)
    for index in 0..<all.count {
      floats += InstructionSet.keptFloats(rows: count, slots: all.runs[index].last - all.runs[index].first)
    }
    return floats
  }

  /// Calls `body` with each run that a task reads and the slots of it that belong to a share; the chunk itself belongs to
  /// the last share.
  @inline(__always)
  func forEachRun(
    of task: AttentionTask, share: WorkShare, phase: AttentionPhase = .whole, _ body: (Run, Range<Int>) -> Void
  ) {
    if phase != .chunk { forEachStoredRun(of: task, share: share, body) }
    guard phase != .stored, share.isLast, attendsChunk else { return }
    let chunk = Run(
      block: chunkBlock, first: 0, last: rows.count, clock: 0, visible: 0, distances: positions.chunkDistances)
    body(chunk, readings.firstChunkToken(of: task.tokens.lowerBound)..<task.tokens.upperBound)
  }

  @inline(__always)
  private func forEachStoredRun(of task: AttentionTask, share: WorkShare, _ body: (Run, Range<Int>) -> Void) {
    let list = chooser.runs(head: task.head, self)
    var (first, last) = (0, Int.max)
    if share.count > 1 {
      var total = 0
      for index in 0..<list.count { total += list.runs[index].shares(cut: list.cut) }
      let part = share.part(of: total)
      (first, last) = (part.lowerBound, part.upperBound)
    }
    for index in 0..<list.count {
      let run = list.runs[index]
      let shares = run.shares(cut: list.cut)
      let slots = run.slots(ofShares: max(0, first)..<max(0, first, min(last, shares)), cut: list.cut)
      (first, last) = (first - shares, last == .max ? .max : last - shares)
      if !slots.isEmpty { body(run, slots) }
    }
  }

  /// Rotates and scales the queries of a task into the scratch.
  func rotateQueries(
    _ task: AttentionTask, _ call: LayerCall, clock: Int, _ scratch: ThreadScratch, _ kernels: InstructionSet
  ) {
    let heads = task.queryHeads
    let width = heads.count * shape.headDim
    for token in task.tokens {
      let source = call.queries + queryOffset(token: token, head: heads.lowerBound)
      let target = scratch.queries.pointer + (token - task.tokens.lowerBound) * width
      positions.rotate(source, into: target, heads: heads.count, clock: clock, token: token, kernels)
    }
    positions.scale(scratch.queries.pointer, of: task.tokens, width: width, by: call.scale, kernels)
  }

  /// Where a token's query begins among those of the batch.
  func queryOffset(token: Int, head: Int) -> Int {
    ((rows.lowerBound + token) * shape.queryHeads + head) * shape.headDim
  }

  /// Ends a task whose partials are complete, from row `firstRow` on: those that close join in, partials that were asked
  /// for are handed out.
  func close(
    _ task: AttentionTask, _ call: LayerCall, firstRow: Int, _ scratch: ThreadScratch, _ kernels: InstructionSet
  ) {
    forEach(.closes) { $0.close(task, call, self, firstRow: firstRow, scratch, kernels) }
    guard let target = call.partials else { return }
    let (partial, heads) = (scratch.partial, task.queryHeads.count)
    for row in 0..<task.rows {
      let (token, head) = (task.tokens.lowerBound + row / heads, task.queryHeads.lowerBound + row % heads)
      let place = (rows.lowerBound + token) * shape.queryHeads + head
      // Maxima of ALiBi are relative to the chunk's first token.
      let bias = positions.isLinearBias ? positions.slopes.pointer[head] * Float(token) : 0
      target.max[place] = partial.maximum.pointer[firstRow + row] - bias
      target.sum[place] = partial.sum.pointer[firstRow + row]
      (target.out + place * target.stride).update(
        from: partial.output.pointer + (firstRow + row) * shape.headDim, count: shape.headDim)
    }
  }

  /// Copies a finished task to its place in the output, `[token, query head, headDim]`.
  func store(_ task: AttentionTask, _ scratch: ThreadScratch, into output: UnsafeMutablePointer<Float>) {
    let width = task.queryHeads.count * shape.headDim
    for (index, token) in task.tokens.enumerated() {
      (output + queryOffset(token: token, head: task.queryHeads.lowerBound))
        .update(from: scratch.partial.output.pointer + index * width, count: width)
    }
  }
}
