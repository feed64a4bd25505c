package import Kernels
import Synchronization

/// Attention over caches in this process: the tokens of a step, from one or more sequences, against their stages.
///
/// `beginStep` decides everything once; each layer then replays it without allocating. Work is divided by (KV head,
/// tile of tokens); when there are fewer of these than threads, each thread takes a share of every run of slots and the
/// partials merge.
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

  /// One thread's unit of work.
  struct Task {
    var segment: Int
    var head: Int
    /// Tokens of the segment.
    var tokens: Range<Int>
  }

  let shape: KVCache.Shape
  let team: WorkerTeam
  let kernels: InstructionSet
  private(set) var segments: [Segment] = []
  private(set) var tables: [StepTables] = []
  private var tasks: [Task] = []
  private var splitsSlots = false
  private var queries: UnsafePointer<Float>?
  private let scratch: [ThreadScratch]
  private let nextTask = Atomic<Int>(0)

  /// Tokens of one task; with the group's heads they fill a kernel's tile.
  private let tileTokens: Int

  package init(shape: KVCache.Shape, team: WorkerTeam, kernels: InstructionSet) {
    self.shape = shape
    self.team = team
    self.kernels = kernels
    tileTokens = max(1, 96 / shape.groupSize)
    let rows = tileTokens * shape.groupSize
    scratch = (0..<team.threads).map { _ in
      ThreadScratch(rows: max(rows, shape.queryHeads), headDim: shape.headDim)
    }
  }

  /// Decides what every sequence of a step reads and where its tokens go.
  ///
  /// - Precondition: the rows of the segments follow each other from 0, and each cache admits its chunk.
  package func beginStep(_ segments: [Segment]) {
    self.segments = segments
    while tables.count < segments.count { tables.append(StepTables(shape: shape)) }
    tasks.removeAll(keepingCapacity: true)
    for (index, segment) in segments.enumerated() {
      precondition(segment.cache.shape == shape, "a cache of another shape")
      segment.cache.beginStep(tokens: segment.rows.count)
      tables[index].prepare(segment.cache, tokens: segment.rows.count)
      for head in 0..<shape.keyValueHeads {
        for start in stride(from: 0, to: segment.rows.count, by: tileTokens) {
          let tokens = start..<min(start + tileTokens, segment.rows.count)
          tasks.append(Task(segment: index, head: head, tokens: tokens))
        }
      }
    }
    splitsSlots = segments.count == 1 && segments[0].rows.count == 1 && team.threads > 1
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
    storeChunks(call)
    if splitsSlots { attendSplit(call) } else { attendTasks(call) }
    move(call)
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

  private var totalRows: Int { segments.last?.rows.upperBound ?? 0 }

  /// Runs `body(segment, tokens)` over all tokens, in parallel where there are enough of them to pay for a join.
  private func overTokens(_ body: (Int, Range<Int>) -> Void) {
    for index in segments.indices {
      let count = segments[index].rows.count
      if count < 16 {
        body(index, 0..<count)
      } else {
        team.parallelFor(count) { body(index, $0) }
      }
    }
  }

  private func storeChunks(_ call: LayerCall) {
    overTokens { index, tokens in
      tables[index].storeChunk(tokens, of: segments[index], call, kernels)
    }
  }

  private func attendTasks(_ call: LayerCall) {
    nextTask.store(0, ordering: .relaxed)
    team.forEachThread { thread in
      while true {
        let index = nextTask.wrappingAdd(1, ordering: .relaxed).oldValue
        guard index < tasks.count else { return }
        let task = tasks[index]
        let scratch = scratch[thread]
        let rows = task.tokens.count * shape.groupSize
        scratch.reset(rows: rows, heads: shape.queryHeads(of: task.head), sinkLogits: call.sinkLogits)
        tables[task.segment].attend(
          task, of: segments[task.segment], call, share: (0, 1), firstRow: 0, scratch: scratch, kernels)
        scratch.partial.finish(rows: rows, kernels: kernels)
        scratch.store(task, of: segments[task.segment], shape: shape, into: call.output)
      }
    }
  }

  /// One token of one sequence: every thread attends to its share of the slots for all heads.
  private func attendSplit(_ call: LayerCall) {
    let group = shape.groupSize
    team.forEachThread { thread in
      let scratch = scratch[thread]
      scratch.reset(
        rows: shape.queryHeads, heads: 0..<shape.queryHeads, sinkLogits: thread == 0 ? call.sinkLogits : nil)
      for head in 0..<shape.keyValueHeads {
        tables[0].attend(
          Task(segment: 0, head: head, tokens: 0..<1), of: segments[0], call, share: (thread, team.threads),
          firstRow: head * group, scratch: scratch, kernels)
      }
    }
    let total = scratch[0]
    for other in scratch.dropFirst() {
      total.partial.merge(other.partial, rows: shape.queryHeads, kernels: kernels)
    }
    total.partial.finish(rows: shape.queryHeads, kernels: kernels)
    (call.output + segments[0].rows.lowerBound * shape.queryHeads * shape.headDim)
      .update(from: total.partial.output.pointer, count: shape.queryHeads * shape.headDim)
  }

  private func move(_ call: LayerCall) {
    for index in segments.indices {
      let segment = segments[index]
      let step = segment.cache.step
      if segment.rows.count < 16 {
        for head in 0..<shape.keyValueHeads {
          tables[index].move(step.moves.indices, head: head, of: segment, call, scratch[0], kernels)
        }
      } else if step.movesAreIndependent {
        team.forEachThread { thread in
          let count = step.moves.count
          let share = thread * count / team.threads..<(thread + 1) * count / team.threads
          for head in 0..<shape.keyValueHeads {
            tables[index].move(share, head: head, of: segment, call, scratch[thread], kernels)
          }
        }
      } else {
        team.forEachThread { thread in
          for head in stride(from: thread, to: shape.keyValueHeads, by: team.threads) {
            tables[index].move(step.moves.indices, head: head, of: segment, call, scratch[thread], kernels)
          }
        }
      }
    }
  }
}
