package import Kernels
import Synchronization

/// Attention over caches in this process: the tokens of a step, from one or more sequences, against their stages.
///
/// `beginStep` decides everything once; each layer then replays it. Neither allocates once it has seen a step of that
/// size. Work is divided by (KV head, tile of tokens); the single token of a decode step is divided by slots instead: each
/// thread takes a share of every run, and the partials merge.
package final class LocalAttention: AttentionService {
  /// A sequence's part of the rows of a step.
  package struct Segment {
    package let cache: KVCache
    /// Rows of the batch.
    package let rows: Range<Int>

    package init(cache: KVCache, rows: Range<Int>) {
      self.cache = cache
      self.rows = rows
    }
  }

  /// One thread's unit of work: some query heads of one KV head, for some tokens of a segment.
  struct Task {
    /// Index of the tables of the sequence's cache, or of the part of it that holds the head in some layer.
    let table: Int
    let head: Int
    private let firstQueryHead, lastQueryHead: Int
    private let firstToken, lastToken: Int

    init(table: Int, head: Int, queryHeads: Range<Int>, tokens: Range<Int>) {
      self.table = table
      self.head = head
      (firstQueryHead, lastQueryHead) = (queryHeads.lowerBound, queryHeads.upperBound)
      (firstToken, lastToken) = (tokens.lowerBound, tokens.upperBound)
    }

    var queryHeads: Range<Int> { firstQueryHead..<lastQueryHead }
    /// Tokens of the segment.
    var tokens: Range<Int> { firstToken..<lastToken }

    /// The part of the task that has some of its tokens.
    func tile(_ tokens: Range<Int>) -> Task {
      Task(table: table, head: head, queryHeads: queryHeads, tokens: tokens)
    }
  }

  let shape: KVCache.Shape
  let team: WorkerTeam
  let kernels: InstructionSet
  /// One for each segment of the step, more where a cache has parts, and more from earlier steps.
  private var tables: [StepTables] = []
  private var tableCount = 0
  private var tasks = GrowingBuffer<Task>()
  private var taskCount = 0
  private var splitsSlots = false
  private var queries: UnsafePointer<Float>?
  private let scratch: [ThreadScratch]
  private let nextTask = Atomic<Int>(0)

  package init(shape: KVCache.Shape, team: WorkerTeam, kernels: InstructionSet) {
    self.shape = shape
    self.team = team
    self.kernels = kernels
    let rows = shape.tileTokens * shape.groupSize
    scratch = (0..<team.threads).map { _ in
      ThreadScratch(rows: max(rows, shape.queryHeads), headDim: shape.headDim)
    }
  }

  /// Decides what every sequence of a step reads and where its tokens go.
  ///
  /// - Precondition: the rows of the segments follow each other from 0, and each cache admits its chunk.
  package func beginStep(_ segments: [Segment]) {
    (tableCount, taskCount) = (0, 0)
    for segment in segments { add(segment) }
    splitsSlots = segments.count == 1 && segments[0].rows.count == 1 && team.threads > 1
  }

  /// Decides what the one sequence of a step reads and where its tokens go, as `beginStep(_:)` does for several.
  package func beginStep(_ cache: KVCache, rows: Int) {
    (tableCount, taskCount) = (0, 0)
    add(Segment(cache: cache, rows: 0..<rows))
    splitsSlots = rows == 1 && team.threads > 1
  }

  private func add(_ segment: Segment) {
    precondition(segment.cache.shape == shape, "a cache of another shape")
    precondition(
      segment.rows.lowerBound == (tableCount == 0 ? 0 : tables[tableCount - 1].rows.upperBound),
      "rows that do not follow each other")
    segment.cache.compress(team: team, kernels: kernels)
    segment.cache.beginStep(tokens: segment.rows.count)
    var kept = 0
    add(segment.cache, rows: segment.rows, kept: &kept)
    for companion in segment.cache.companions { add(companion, rows: segment.rows, kept: &kept) }
  }

  /// - Parameter kept: floats of weights that a thread may keep of other parts of the same cache
  private func add(_ cache: KVCache, rows: Range<Int>, kept: inout Int) {
    if tables.count == tableCount { tables.append(StepTables(shape: shape)) }
    let table = tables[tableCount]
    table.prepare(cache, rows: rows)
    if table.isLinearBias { for scratch in scratch { scratch.reserveBias(slots: table.largestBlock) } }
    if let summary = table.summary {
      let rows = min(rows.count, shape.tileTokens) * table.headsPerTask
      for scratch in scratch { scratch.reserveSummary(summary.scratchFloats(rows: rows)) }
    }
    if let selection = table.selection {
      kept += table.keptFloats(rows: max(selection.tileTokens * table.headsPerTask, shape.queryHeads))
      for scratch in scratch { scratch.reserveSelection(slots: selection.slots, keptFloats: kept) }
    }
    addTasks(table, count: rows.count)
    tableCount += 1
  }

  private func addTasks(_ table: StepTables, count: Int) {
    // Where weights are added up, a task has the tiles of a group of tokens, one after another.
    let taskTokens = table.selection?.groupTokens ?? shape.tileTokens
    let parts = (count + taskTokens - 1) / taskTokens
    tasks.reserve(taskCount + parts * shape.queryHeads / table.headsPerTask, keeping: taskCount)
    for first in stride(from: 0, to: shape.queryHeads, by: table.headsPerTask) {
      for start in stride(from: 0, to: count, by: taskTokens) {
        tasks.pointer[taskCount] = Task(
          table: tableCount, head: first / shape.groupSize, queryHeads: first..<first + table.headsPerTask,
          tokens: start..<min(start + taskTokens, count))
        taskCount += 1
      }
    }
  }

  package func begin(layer: Int, queries: UnsafePointer<Float>) { self.queries = queries }

  package func finish(
    layer: Int, keys: UnsafePointer<Float>, values: UnsafePointer<Float>, sinkLogits: UnsafePointer<Float>?,
    output: UnsafeMutablePointer<Float>
  ) {
    guard let queries else { preconditionFailure("finish without begin") }
    self.queries = nil
    let call = LayerCall(
      layer: layer, queries: queries, keys: keys, values: values, sinkLogits: sinkLogits, output: output)
    for index in 0..<tableCount {
      let isLarge = tables[index].rows.count >= Self.parallelTokens
      perform(.storeChunk(table: index), call, inParallel: isLarge)
    }
    for index in 0..<tableCount where tables[index].startPages(layer: layer) {
      let isLarge = tables[index].boundCount >= Self.parallelBounds
      perform(.boundPages(table: index), call, inParallel: isLarge)
      perform(.choosePages(table: index), call, inParallel: isLarge)
    }
    if splitsSlots {
      perform(.attendShare, call, inParallel: true)
      if finishSplit(call) { perform(.scoreShare, call, inParallel: true) }
    } else {
      nextTask.store(0, ordering: .relaxed)
      perform(.attendTasks, call, inParallel: true)
    }
    for index in 0..<tableCount {
      let isLarge = tables[index].rows.count >= Self.parallelTokens
      tables[index].observe(call)
      if tables[index].selection != nil {
        if !splitsSlots {
          nextTask.store(0, ordering: .relaxed)
          perform(.score(table: index), call, inParallel: isLarge)
        }
        perform(.select(table: index), call, inParallel: isLarge)
      } else {
        perform(.move(table: index), call, inParallel: isLarge)
      }
    }
  }

  /// The arguments of one layer, without reference counts.
  struct LayerCall {
    var layer: Int
    var queries: UnsafePointer<Float>
    var keys: UnsafePointer<Float>
    var values: UnsafePointer<Float>
    var sinkLogits: UnsafePointer<Float>?
    var output: UnsafeMutablePointer<Float>
  }

  /// Chunks of fewer tokens are stored and moved by the caller alone: a join would cost more.
  private static let parallelTokens = 16

  /// Fewer pages are bounded and chosen by the caller alone.
  private static let parallelBounds = 512

  /// A part of a layer that all threads of the team do together.
  private enum Work {
    case storeChunk(table: Int)
    case boundPages(table: Int)
    case choosePages(table: Int)
    case attendTasks
    case attendShare
    case scoreShare
    case score(table: Int)
    case select(table: Int)
    case move(table: Int)
  }

  /// What the threads of a team are handed. A closure in its place would be allocated at every join.
  private struct Job {
    var attention: Unmanaged<LocalAttention>
    var work: Work
    var call: LayerCall
  }

  private func perform(_ work: Work, _ call: LayerCall, inParallel: Bool) {
    guard inParallel && team.threads > 1 else { return perform(work, call, thread: 0, threads: 1) }
    var job = Job(attention: .passUnretained(self), work: work, call: call)
    withUnsafeMutablePointer(to: &job) { context in
      team.run(context) { context, thread, threads in
        guard let job = context?.assumingMemoryBound(to: Job.self) else { return }
        job.pointee.attention._withUnsafeGuaranteedRef {
          $0.perform(job.pointee.work, job.pointee.call, thread: Int(thread), threads: Int(threads))
        }
      }
    }
  }

  private func perform(_ work: Work, _ call: LayerCall, thread: Int, threads: Int) {
    switch work {
    case .storeChunk(let index):
      let table = tables[index]
      table.storeChunk(Self.share(thread, threads, of: table.rows.count), call, scratch[thread], kernels)
    case .boundPages(let index):
      tables[index].boundPages(share: (thread, threads), call, scratch[thread], kernels)
    case .choosePages(let index):
      for head in stride(from: thread, to: shape.keyValueHeads, by: threads) { tables[index].choosePages(head: head) }
    case .attendTasks: attendTasks(call, scratch[thread])
    case .attendShare: attendShare(call, scratch[thread], thread: thread, threads: threads)
    case .scoreShare: scoreShare(call, scratch[thread], thread: thread, threads: threads)
    case .score(let index): score(tables[index], call)
    case .select(let index):
      for head in stride(from: thread, to: shape.keyValueHeads, by: threads) {
        tables[index].observeArrivals(head: head, call, scratch[thread], kernels)
        tables[index].select(head: head, call, scratch[thread], kernels)
      }
    case .move(let index): move(tables[index], call, scratch[thread], thread: thread, threads: threads)
    }
  }

  private func attendTasks(_ call: LayerCall, _ scratch: ThreadScratch) {
    while true {
      let index = nextTask.wrappingAdd(1, ordering: .relaxed).oldValue
      guard index < taskCount else { return }
      let task = tasks.pointer[index]
      let table = tables[task.table]
      guard table.place(layer: call.layer, head: task.head) >= 0 else { continue }
      guard let tileTokens = table.selection?.tileTokens else {
        attend(task, table, call, scratch)
        continue
      }
      table.startColumns(task)
      for start in stride(from: task.tokens.lowerBound, to: task.tokens.upperBound, by: tileTokens) {
        attend(task.tile(start..<min(start + tileTokens, task.tokens.upperBound)), table, call, scratch)
      }
    }
  }

  private func attend(_ task: Task, _ table: StepTables, _ call: LayerCall, _ scratch: ThreadScratch) {
    let keeps = table.selection != nil
    table.start(task, firstRow: 0, sinkLogits: call.sinkLogits, scratch)
    table.attend(
      task, call, share: (0, 1), firstRow: 0, keeping: keeps ? scratch.kept : nil, scratch: scratch, kernels)
    if keeps {
      let partial = scratch.partial
      table.addColumns(
        task, share: (0, 1), maximum: partial.maximum.pointer, sum: partial.sum.pointer, kept: scratch.kept, kernels)
    }
    scratch.partial.finish(rows: task.tokens.count * task.queryHeads.count, kernels: kernels)
    table.store(task, scratch, into: call.output)
  }

  /// One token of one sequence: every thread attends to its share of the slots for all heads.
  private func attendShare(_ call: LayerCall, _ scratch: ThreadScratch, thread: Int, threads: Int) {
    var kept = 0
    for index in 0..<taskCount {
      let task = tasks.pointer[index]
      let table = tables[task.table]
      guard table.place(layer: call.layer, head: task.head) >= 0 else { continue }
      let row = task.queryHeads.lowerBound
      table.start(task, firstRow: row, sinkLogits: thread == 0 ? call.sinkLogits : nil, scratch)
      kept += table.attend(
        task, call, share: (thread, threads), firstRow: row,
        keeping: table.selection == nil ? nil : scratch.kept + kept, scratch: scratch, kernels)
    }
  }

  /// The same token's scores, from the weights that each thread kept of its share.
  private func scoreShare(_ call: LayerCall, _ scratch: ThreadScratch, thread: Int, threads: Int) {
    var kept = scratch.kept
    var first = 0
    for index in 0..<tableCount {
      var last = first
      while last < taskCount, tasks.pointer[last].table == index { last += 1 }
      kept += tables[index].scoreShare(
        UnsafeBufferPointer(start: tasks.pointer + first, count: last - first), share: (thread, threads),
        layer: call.layer, keptFrom: kept, kernels)
      first = last
    }
  }

  /// Joins what the threads found; returns whether there are scores to bring up to date.
  private func finishSplit(_ call: LayerCall) -> Bool {
    let total = scratch[0].partial
    for thread in 1..<team.threads {
      total.merge(scratch[thread].partial, rows: shape.queryHeads, kernels: kernels)
    }
    var scores = false
    for index in 0..<tableCount where tables[index].selection != nil {
      tables[index].keepSoftmax(total)
      scores = true
    }
    total.finish(rows: shape.queryHeads, kernels: kernels)
    call.output.update(from: total.output.pointer, count: shape.queryHeads * shape.headDim)
    return scores
  }

  private func score(_ table: StepTables, _ call: LayerCall) {
    let count = table.scoreUnits
    while true {
      let index = nextTask.wrappingAdd(1, ordering: .relaxed).oldValue
      guard index < count else { return }
      table.updateScores(unit: index, layer: call.layer)
    }
  }

  private func move(
    _ table: StepTables, _ call: LayerCall, _ scratch: ThreadScratch, thread: Int, threads: Int
  ) {
    if table.movesAreIndependent {
      let share = Self.share(thread, threads, of: table.moveCount)
      for head in 0..<shape.keyValueHeads { table.move(share, head: head, call, scratch, kernels) }
    } else {
      for head in stride(from: thread, to: shape.keyValueHeads, by: threads) {
        table.observeArrivals(head: head, call, scratch, kernels)
        table.move(0..<table.moveCount, head: head, call, scratch, kernels)
      }
    }
  }

  private static func share(_ thread: Int, _ threads: Int, of count: Int) -> Range<Int> {
    thread * count / threads..<(thread + 1) * count / threads
  }
}
