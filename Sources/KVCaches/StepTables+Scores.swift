import Kernels

/// Scoring the slots of one layer, after its attention.
extension StepTables {
  /// Notes what the softmax of a finished task's rows came to.
  func keepSoftmax(_ task: LocalAttention.Task, firstRow: Int, _ scratch: ThreadScratch) {
    guard let selection else { return }
    let heads = task.queryHeads
    let offset = heads.lowerBound * rows.count + task.tokens.lowerBound * heads.count
    let count = task.tokens.count * heads.count
    (selection.maxima.pointer + offset).update(from: scratch.partial.maximum.pointer + firstRow, count: count)
    (selection.sums.pointer + offset).update(from: scratch.partial.sum.pointer + firstRow, count: count)
  }

  /// Brings the scores of a unit's slots up to date, for all heads of the layer.
  ///
  /// A second pass over the keys, with the final maximum and sum of every row: exact, and in an order that does not depend
  /// on the number of threads.
  func score(
    _ index: Int, _ call: LocalAttention.LayerCall, tileTokens: Int, _ scratch: ThreadScratch,
    _ kernels: InstructionSet
  ) {
    guard let selection else { return }
    let unit = selection.units.pointer[index]
    let run = unit.run < 0 ? chunkRun : runs.pointer[unit.run]
    let width = SelectionTables.unitSlots
    let columns = scratch.columns
    columns.update(repeating: 0, count: shape.queryHeads * width)
    for firstHead in stride(from: 0, to: shape.queryHeads, by: headsPerTask) {
      let heads = firstHead..<firstHead + headsPerTask
      // A token of the chunk is seen by itself and by those after it.
      var start = unit.run < 0 ? unit.first : 0
      while start < rows.count {
        let task = LocalAttention.Task(
          segment: 0, head: firstHead / shape.groupSize, queryHeads: heads,
          tokens: start..<min(start + tileTokens, rows.count))
        addColumns(
          task, call, run: run, slots: unit.first..<unit.last, to: columns + firstHead * width, selection, scratch,
          kernels)
        start = task.tokens.upperBound
      }
    }
    update(unit, columns: columns, layer: call.layer, selection)
  }

  /// The chunk's own tokens as a run of slots.
  private var chunkRun: Run {
    Run(block: chunkBlock, first: 0, last: rows.count, clock: 0, visible: 0, distances: chunkDistances)
  }

  private func addColumns(
    _ task: LocalAttention.Task, _ call: LocalAttention.LayerCall, run: Run, slots: Range<Int>,
    to columns: UnsafeMutablePointer<Float>, _ selection: SelectionTables, _ scratch: ThreadScratch,
    _ kernels: InstructionSet
  ) {
    rotateQueries(task, call, clock: run.clock, scratch, kernels)
    let isChunk = run.block == chunkBlock
    let storage = blocks.pointer[run.block].slots(
      head: isChunk ? task.head : call.layer * shape.keyValueHeads + task.head, type: type, headDim: shape.headDim)
    let firstToken = task.tokens.lowerBound
    var (first, last): (UnsafePointer<Int32>?, UnsafePointer<Int32>?)
    if isChunk {
      (first, last) = (UnsafePointer(chunkFirst.pointer + firstToken), UnsafePointer(chunkLast.pointer + firstToken))
    } else if run.visible >= 0 {
      first = UnsafePointer(visibleFirst.pointer + run.visible + firstToken)
      last = UnsafePointer(visibleLast.pointer + run.visible + firstToken)
    }
    let rowOffset = task.queryHeads.lowerBound * rows.count + firstToken * task.queryHeads.count
    scratch.partial.maximum.pointer.update(
      from: selection.maxima.pointer + rowOffset, count: task.tokens.count * task.queryHeads.count)
    if isLinearBias {
      let distances = distances.pointer + run.distances + slots.lowerBound - run.first
      scratch.setBias(slots: slots, distances: distances, slope: slopes.pointer[task.queryHeads.lowerBound])
      shift(task, clock: run.clock, by: -1, firstRow: 0, scratch)
    }
    // Slots are counted from the block's first, columns from the unit's.
    scratch.addColumnSums(
      storage, run: slots, rows: task.tokens.count * task.queryHeads.count, group: task.queryHeads.count,
      sum: selection.sums.pointer + rowOffset,
      rowWeights: selection.rowWeights.pointer + firstToken * task.queryHeads.count,
      isBiased: isLinearBias, visibleFirst: first, visibleLast: last, to: columns - slots.lowerBound,
      headStride: SelectionTables.unitSlots, kernels)
  }

  /// score ← factor × score + what the heads agree on; the chunk's own tokens have no score yet.
  private func update(
    _ unit: SelectionTables.Unit, columns: UnsafeMutablePointer<Float>, layer: Int, _ selection: SelectionTables
  ) {
    let (count, width) = (unit.last - unit.first, SelectionTables.unitSlots)
    let group = selection.rule.isHomogeneous ? shape.queryHeads : shape.groupSize
    let groups = shape.queryHeads / group
    for index in 0..<groups { reduce(columns + index * group * width, heads: group, count: count, selection.rule) }
    for head in 0..<shape.keyValueHeads {
      let source = columns + (groups == 1 ? 0 : head * group * width)
      if unit.run < 0 {
        (selection.chunkScores.pointer + head * rows.count + unit.first).update(from: source, count: count)
      } else {
        let scores = selection.scores + (layer * shape.keyValueHeads + head) * selection.slots + unit.first
        for slot in 0..<count { scores[slot] = scores[slot] * selection.factor + source[slot] }
      }
    }
  }

  /// Reduces the columns of `heads` heads, `[head, slot]`, into the first one's.
  private func reduce(_ columns: UnsafeMutablePointer<Float>, heads: Int, count: Int, _ rule: ScoreRule) {
    guard heads > 1 else { return }
    let width = SelectionTables.unitSlots
    switch rule.reduction {
    case .maximum:
      for head in 1..<heads {
        let other = columns + head * width
        for slot in 0..<count where other[slot] > columns[slot] { columns[slot] = other[slot] }
      }
    case .mean:
      for head in 1..<heads {
        let other = columns + head * width
        for slot in 0..<count { columns[slot] += other[slot] }
      }
      for slot in 0..<count { columns[slot] /= Float(heads) }
    case .median:
      for slot in 0..<count { columns[slot] = median(columns + slot, heads: heads) }
    }
  }

  /// The lower middle value of one slot's heads; sorts them in place.
  private func median(_ values: UnsafeMutablePointer<Float>, heads: Int) -> Float {
    let width = SelectionTables.unitSlots
    for last in 1..<heads {
      var index = last
      while index > 0, values[index * width] < values[(index - 1) * width] {
        swap(&values[index * width], &values[(index - 1) * width])
        index -= 1
      }
    }
    return values[(heads - 1) / 2 * width]
  }
}
