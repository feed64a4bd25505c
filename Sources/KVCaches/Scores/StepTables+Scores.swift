import Kernels

/// Scoring the slots of one layer: attention keeps the weights it computes, and they are added up by columns as soon as
/// the rows' final maxima and sums are known.
extension StepTables {
  /// Whether weights are kept as halves: a chunk's do not fit into a core's cache, and slots are rounded more coarsely. A
  /// single token's are few, and which thread meets which of its slots must not show.
  static func keepsHalves(tokens: Int, _ type: ElementType) -> Bool { tokens > 1 && type != .float32 }

  var keepsHalves: Bool { Self.keepsHalves(tokens: rows.count, type) }

  /// Makes the columns of a task empty.
  func startColumns(_ task: LocalAttention.Task) {
    guard let selection else { return }
    for head in task.queryHeads {
      columns(of: task, head: head, selection).update(repeating: 0, count: selection.width)
    }
  }

  /// Notes what the softmax of a single token's rows came to.
  func keepSoftmax(_ partial: PartialAttention) {
    guard let selection else { return }
    selection.maxima.pointer.update(from: partial.maximum.pointer, count: shape.queryHeads)
    selection.sums.pointer.update(from: partial.sum.pointer, count: shape.queryHeads)
  }

  /// Adds up the weights that `attend` kept of a task, or of a share of a single token's slots.
  ///
  /// - Parameters:
  ///   - maximum: final maxima of the task's rows; may be changed
  ///   - kept: where the task's weights begin
  /// - Returns: floats of kept weights read.
  @discardableResult
  func addColumns(
    _ task: LocalAttention.Task, share: (index: Int, count: Int), maximum: UnsafeMutablePointer<Float>,
    sum: UnsafePointer<Float>, kept: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) -> Int {
    guard let selection else { return 0 }
    let rowCount = task.tokens.count * task.queryHeads.count
    let columns = columns(of: task, head: task.queryHeads.lowerBound, selection)
    var offset = 0
    forEachRun(of: task, share: share) { run, slots in
      if isLinearBias { shift(maximum, task, clock: run.clock, by: -1) }
      let bounds = bounds(of: run, task)
      kernels.addKeptColumnSums(
        kept + offset, areHalves: keepsHalves, run: slots, rows: rowCount, rowsPerToken: task.queryHeads.count,
        max: maximum, sum: sum,
        rowWeights: selection.rowWeights.pointer + task.tokens.lowerBound * task.queryHeads.count,
        visibleFirst: bounds.first, visibleLast: bounds.last,
        to: columns + firstColumn(of: run, selection), headStride: selection.width)
      if isLinearBias { shift(maximum, task, clock: run.clock, by: 1) }
      offset += InstructionSet.keptFloats(rows: rowCount, slots: slots.count)
    }
    return offset
  }

  /// The column of a run's slot 0: slots come first, then the chunk's tokens.
  private func firstColumn(of run: Run, _ selection: SelectionTables) -> Int {
    run.block == chunkBlock ? selection.slots : 0
  }

  private func columns(
    of task: LocalAttention.Task, head: Int, _ selection: SelectionTables
  ) -> UnsafeMutablePointer<Float> {
    let group = task.tokens.lowerBound / selection.groupTokens
    return selection.columns.pointer + (group * shape.queryHeads + head) * selection.width
  }

  /// Brings the scores of a unit's columns up to date, for all heads of the layer.
  func updateScores(unit: Int, layer: Int) {
    guard let selection else { return }
    let first = unit * SelectionTables.unitColumns
    updateScores(first..<min(first + SelectionTables.unitColumns, selection.width), layer: layer, selection)
  }

  /// Units of columns to update.
  var scoreUnits: Int {
    guard let selection else { return 0 }
    return (selection.width + SelectionTables.unitColumns - 1) / SelectionTables.unitColumns
  }

  /// Scores a thread's share of a single token's slots: columns of the weights that it kept, then scores.
  ///
  /// - Parameters:
  ///   - tasks: all tasks of these tables
  ///   - kept: where the weights begin that the thread kept of these tasks
  /// - Returns: floats of kept weights read.
  func scoreShare(
    _ tasks: UnsafeBufferPointer<LocalAttention.Task>, share: (index: Int, count: Int), layer: Int,
    keptFrom kept: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) -> Int {
    guard let selection else { return 0 }
    forEachRun(of: tasks[0], share: share) { run, slots in
      for head in 0..<shape.queryHeads {
        let columns =
          selection.columns.pointer + head * selection.width + firstColumn(of: run, selection) + slots.lowerBound
        columns.update(repeating: 0, count: slots.count)
      }
    }
    var read = 0
    for task in tasks where place(layer: layer, head: task.head) >= 0 {
      let row = task.queryHeads.lowerBound
      read += addColumns(
        task, share: share, maximum: selection.maxima.pointer + row, sum: selection.sums.pointer + row,
        kept: kept + read, kernels)
    }
    forEachRun(of: tasks[0], share: share) { run, slots in
      updateScores(
        slots.lowerBound + firstColumn(of: run, selection)..<slots.upperBound + firstColumn(of: run, selection),
        layer: layer, selection)
    }
    return read
  }

  /// score ← factor × score + what the heads agree on; the chunk's own tokens have no score yet.
  private func updateScores(_ range: Range<Int>, layer: Int, _ selection: SelectionTables) {
    let base = selection.columns.pointer + range.lowerBound
    for group in 1..<max(selection.groupCount, 1) {
      for head in 0..<shape.queryHeads {
        let target = base + head * selection.width
        let source = base + (group * shape.queryHeads + head) * selection.width
        for index in 0..<range.count { target[index] += source[index] }
      }
    }
    let heads = selection.rule.isHomogeneous ? shape.queryHeads : shape.groupSize
    for first in stride(from: 0, to: shape.queryHeads, by: heads) {
      reduce(base + first * selection.width, heads: heads, count: range.count, selection)
    }
    let slots = range.clamped(to: 0..<selection.slots)
    let tokens = range.clamped(to: selection.slots..<selection.width)
    for head in 0..<shape.keyValueHeads where place(layer: layer, head: head) >= 0 {
      let source = selection.columns.pointer + head * shape.groupSize / heads * heads * selection.width
      let scores = selection.scores + place(layer: layer, head: head) * selection.slots
      let factor = selection.factor
      for slot in slots { scores[slot] = scores[slot] * factor + source[slot] }
      let chunkScores = selection.chunkScores.pointer + head * rows.count - selection.slots
      for token in tokens { chunkScores[token] = source[token] }
    }
  }

  /// Reduces the columns of `heads` heads into the first one's.
  private func reduce(
    _ columns: UnsafeMutablePointer<Float>, heads: Int, count: Int, _ selection: SelectionTables
  ) {
    guard heads > 1 else { return }
    let width = selection.width
    switch selection.rule.reduction {
    case .maximum:
      for head in 1..<heads {
        let other = columns + head * width
        for slot in 0..<count { columns[slot] = other[slot] > columns[slot] ? other[slot] : columns[slot] }
      }
    case .mean:
      for head in 1..<heads {
        let other = columns + head * width
        for slot in 0..<count { columns[slot] += other[slot] }
      }
      for slot in 0..<count { columns[slot] /= Float(heads) }
    case .median:
      for slot in 0..<count { columns[slot] = median(columns + slot, heads: heads, width: width) }
    }
  }

  /// The lower middle value of one slot's heads; sorts them in place.
  private func median(_ values: UnsafeMutablePointer<Float>, heads: Int, width: Int) -> Float {
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
