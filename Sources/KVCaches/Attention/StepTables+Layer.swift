import Kernels

/// The replay of a step's decisions for one layer.
extension StepTables {
  /// Writes keys and values of chunk tokens into the chunk's own slots, rotated by their place in the stream.
  func storeChunk(
    _ tokens: Range<Int>, _ call: LocalAttention.LayerCall, _ scratch: ThreadScratch, _ kernels: InstructionSet
  ) {
    let key = scratch.key.pointer
    for head in 0..<shape.keyValueHeads where place(layer: call.layer, head: head) >= 0 {
      let slots = blocks.pointer[chunkBlock].slots(head: head, type: type, headDim: shape.headDim)
      for token in tokens {
        let offset = keyValueOffset(token: token, head: head)
        rotate(call.keys + offset, into: key, heads: 1, clock: 0, token: token, kernels)
        kernels.writeKey(key, to: token, of: slots)
        kernels.writeValue(call.values + offset, to: token, of: slots)
      }
    }
  }

  /// Starts the partials of a task at row `firstRow`: empty, or from learned sink logits, `[query head]`.
  func start(
    _ task: LocalAttention.Task, firstRow: Int, sinkLogits: UnsafePointer<Float>?, _ scratch: ThreadScratch
  ) {
    let heads = task.queryHeads
    scratch.partial.reset(rows: firstRow..<firstRow + task.tokens.count * heads.count)
    guard let sinkLogits else { return }
    for (index, token) in task.tokens.enumerated() {
      for head in heads {
        // Logits of ALiBi are kept relative to the chunk's first token, see `attend`.
        let bias = isLinearBias ? slopes.pointer[head] * Float(token) : 0
        scratch.partial.add(
          sinkLogit: sinkLogits[head] + bias, row: firstRow + index * heads.count + head - heads.lowerBound)
      }
    }
  }

  /// Attends with the queries of a task to a share of every run, and (last share) to the chunk itself.
  ///
  /// With ALiBi the logit of token r loses slope × (position − clock). Slope × r is left out of that, which no softmax
  /// notices, so that one bias a slot serves all tokens. Only where a query clock stops at its limit do the tokens of
  /// a chunk differ, by a constant that the partial is shifted by while it meets the run.
  ///
  /// - Parameter kept: where to keep the weights for `addColumns`; nil where nobody asks for them.
  /// - Returns: floats of kept weights.
  @discardableResult
  func attend(
    _ task: LocalAttention.Task, _ call: LocalAttention.LayerCall, share: (index: Int, count: Int), firstRow: Int,
    keeping kept: UnsafeMutablePointer<Float>? = nil, scratch: ThreadScratch, _ kernels: InstructionSet
  ) -> Int {
    let rowCount = task.tokens.count * task.queryHeads.count
    var clock = -1
    var keptFloats = 0
    forEachRun(of: task, share: share) { run, slots in
      if run.clock != clock {
        clock = run.clock
        rotateQueries(task, call, clock: clock, scratch, kernels)
      }
      let head = run.block == chunkBlock ? task.head : place(layer: call.layer, head: task.head)
      let storage = blocks.pointer[run.block].slots(head: head, type: type, headDim: shape.headDim)
      // Heads of a packed block hold different numbers of tokens.
      let slots = min(slots.lowerBound, storage.slots)..<min(slots.upperBound, storage.slots)
      guard !slots.isEmpty else { return }
      var logWeights = blocks.pointer[run.block].logWeights(head: head)
      if isLinearBias {
        let distances = distances.pointer + run.distances + slots.lowerBound - run.first
        logWeights = scratch.setBias(
          slots: slots, distances: distances, slope: slopes.pointer[task.queryHeads.lowerBound])
        shift(scratch.partial.maximum.pointer + firstRow, task, clock: run.clock, by: -1)
      }
      let bounds = bounds(of: run, task)
      scratch.attend(
        storage, run: slots, rows: rowCount, group: task.queryHeads.count, firstRow: firstRow, logWeights: logWeights,
        visibleFirst: bounds.first, visibleLast: bounds.last, keeping: kept.map { $0 + keptFloats },
        asHalves: keepsHalves, kernels)
      if isLinearBias { shift(scratch.partial.maximum.pointer + firstRow, task, clock: run.clock, by: 1) }
      if kept != nil { keptFloats += InstructionSet.keptFloats(rows: rowCount, slots: slots.count) }
    }
    attendToSummary(task, call, share: share, firstRow: firstRow, scratch, kernels)
    return keptFloats
  }

  /// Floats in which `attend` keeps the weights of a task.
  func keptFloats(rows count: Int) -> Int {
    var floats = InstructionSet.keptFloats(rows: count, slots: rows.count)
    for index in 0..<runCount {
      floats += InstructionSet.keptFloats(rows: count, slots: runs.pointer[index].last - runs.pointer[index].first)
    }
    return floats
  }

  /// Calls `body` with each run that a task reads and the slots of it that belong to a share; the chunk itself belongs to
  /// the last share.
  @inline(__always)
  func forEachRun(
    of task: LocalAttention.Task, share: (index: Int, count: Int), _ body: (Run, Range<Int>) -> Void
  ) {
    let (runs, runCount, cut) = readRuns(head: task.head)
    var (first, last) = (0, Int.max)
    if share.count > 1 {
      var total = 0
      for index in 0..<runCount { total += runs[index].shares(cut: cut) }
      (first, last) = (total * share.index / share.count, total * (share.index + 1) / share.count)
    }
    for index in 0..<runCount {
      let run = runs[index]
      let shares = run.shares(cut: cut)
      let slots = run.slots(ofShares: max(0, first)..<max(0, first, min(last, shares)), cut: cut)
      (first, last) = (first - shares, last == .max ? .max : last - shares)
      if !slots.isEmpty { body(run, slots) }
    }
    guard share.index == share.count - 1 else { return }
    let chunk = Run(block: chunkBlock, first: 0, last: rows.count, clock: 0, visible: 0, distances: chunkDistances)
    body(chunk, Int(chunkFirst.pointer[task.tokens.lowerBound])..<task.tokens.upperBound)
  }

  /// What each token of a task sees of a run, nil for all of it.
  func bounds(
    of run: Run, _ task: LocalAttention.Task
  ) -> (first: UnsafePointer<Int32>?, last: UnsafePointer<Int32>?) {
    let token = task.tokens.lowerBound
    if run.block == chunkBlock {
      return (UnsafePointer(chunkFirst.pointer + token), UnsafePointer(chunkLast.pointer + token))
    }
    guard run.visible >= 0 else { return (nil, nil) }
    return (
      UnsafePointer(visibleFirst.pointer + run.visible + token),
      UnsafePointer(visibleLast.pointer + run.visible + token)
    )
  }

  /// Shifts the maxima of a task's rows by the constant in which its tokens differ when they read by a clock.
  func shift(
    _ maxima: UnsafeMutablePointer<Float>, _ task: LocalAttention.Task, clock: Int, by sign: Float
  ) {
    let slope = slopes.pointer[task.queryHeads.lowerBound]
    for token in task.tokens {
      let lag = lags.pointer[clock * rows.count + token]
      if lag != 0 { maxima[token - task.tokens.lowerBound] += sign * slope * lag }
    }
  }

  /// Rotates and scales the queries of a task into the scratch.
  func rotateQueries(
    _ task: LocalAttention.Task, _ call: LocalAttention.LayerCall, clock: Int, _ scratch: ThreadScratch,
    _ kernels: InstructionSet
  ) {
    let heads = task.queryHeads
    let width = heads.count * shape.headDim
    for token in task.tokens {
      let source = call.queries + ((rows.lowerBound + token) * shape.queryHeads + heads.lowerBound) * shape.headDim
      let target = scratch.queries.pointer + (token - task.tokens.lowerBound) * width
      rotate(source, into: target, heads: heads.count, clock: clock, token: token, kernels)
    }
    kernels.scale(
      scratch.queries.pointer, by: 1 / Float(shape.headDim).squareRoot(), count: task.tokens.count * width)
  }

  /// Copies a finished task to its place in the output, `[token, query head, headDim]`.
  func store(_ task: LocalAttention.Task, _ scratch: ThreadScratch, into output: UnsafeMutablePointer<Float>) {
    let width = task.queryHeads.count * shape.headDim
    for (index, token) in task.tokens.enumerated() {
      let head = (rows.lowerBound + token) * shape.queryHeads + task.queryHeads.lowerBound
      (output + head * shape.headDim).update(from: scratch.partial.output.pointer + index * width, count: width)
    }
  }

  /// Carries out moves for one KV head of the layer.
  func move(
    _ range: Range<Int>, head: Int, _ call: LocalAttention.LayerCall, _ scratch: ThreadScratch,
    _ kernels: InstructionSet
  ) {
    let headIndex = place(layer: call.layer, head: head)
    guard headIndex >= 0 else { return }
    let (key, value) = (scratch.key.pointer, scratch.value.pointer)
    for index in range {
      let move = moves.pointer[index]
      if let undoLog, move.target.block >= 0 {
        let slots = blocks.pointer[move.target.block].slots(head: headIndex, type: type, headDim: shape.headDim)
        undoLog.spill(slots, move.target, write: index, place: headIndex, row: key, kernels)
      }
      var valueSource = UnsafePointer(value)
      if move.token >= 0 {
        let offset = keyValueOffset(token: move.token, head: head)
        rotate(call.keys + offset, into: key, heads: 1, clock: 0, token: move.token, kernels)
        valueSource = call.values + offset
      } else {
        let slots = blocks.pointer[move.source.block].slots(head: headIndex, type: type, headDim: shape.headDim)
        kernels.readKey(move.source.slot, of: slots, to: key)
        kernels.readValue(move.source.slot, of: slots, to: value)
      }
      if move.turns { turn(key, move: index, kernels) }
      guard move.target.block >= 0 else {
        summary?.melt(
          key: key, value: valueSource, head: headIndex, scratch: scratch.summary.pointer, kernels)
        continue
      }
      let slots = blocks.pointer[move.target.block].slots(head: headIndex, type: type, headDim: shape.headDim)
      kernels.writeKey(key, to: move.target.slot, of: slots)
      kernels.writeValue(valueSource, to: move.target.slot, of: slots)
      widenPage(move.target, of: slots, layer: call.layer, head: head, key, kernels)
    }
  }

  func keyValueOffset(token: Int, head: Int) -> Int {
    ((rows.lowerBound + token) * shape.keyValueHeads + head) * shape.headDim
  }
}
