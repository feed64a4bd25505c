package import Kernels
import Synchronization

/// Attention over caches in this process: the tokens of a step, from one or more sequences, against their stages.
///
/// `beginStep` decides everything once; each layer then replays it. Neither allocates once it has seen a step of that
/// size. Work is divided by (KV head, tile of tokens); the single token of a decode step is divided by slots instead: each
/// thread takes a share of every run, and the partials merge. What comes before and after attention is one join each,
/// over the heads of all sequences.
package final class LocalAttention: AttentionService {
  package typealias Segment = StepSegment<KVCache>

  /// What attention is in each layer.
  package let layers: [AttentionLayer]
  let team: WorkerTeam
  package let kernels: InstructionSet
  private let numbers: LayerNumbers
  private let sharedKeys: SharedKeys
  let recurrentLayout: RecurrentLayout
  /// One for each segment of the step, where layers have recurrent states.
  private(set) var recurrentSegments = GrowingBuffer<RecurrentSegment>()
  private(set) var recurrentCount = 0
  /// One for each head group of each segment of the step, and more from earlier steps.
  private(set) var replays: [GroupReplay] = []
  private(set) var replayCount = 0
  /// What caches of the step still wait for.
  private var arrivals: [LayerArrival] = []
  /// Rows of the step so far.
  private var rowCount = 0
  private(set) var units = StepUnits()
  private(set) var splitsSlots = false
  private var queries: UnsafePointer<Float>?
  private var started = StartedPartials()
  /// The layer whose stored slots have been attended to; -1 for none.
  private var startedLayer = -1
  /// Whether the step can be started before its keys are there.
  private var canStart = false
  /// The threads' buffers for each kind of heads, `[kind][thread]`.
  private let scratch: [[ThreadScratch]]
  private let nextUnit = Atomic<Int>(0)
  /// What attention without output is handed.
  private let emptyOutput = Buffer<Float>(count: 0)

  package init(layers: [AttentionLayer], team: WorkerTeam, kernels: InstructionSet) {
    precondition(!layers.isEmpty, "a model has layers")
    self.layers = layers
    self.team = team
    self.kernels = kernels
    numbers = LayerNumbers(layers)
    sharedKeys = SharedKeys(layers)
    recurrentLayout = RecurrentLayout(layers)
    scratch = numbers.shapes.map { shape in
      (0..<team.threads).map { thread in
        ThreadScratch(
          thread: thread, rows: max(shape.tileTokens * shape.groupSize, shape.queryHeads), headDim: shape.headDim)
      }
    }
  }

  /// For a model whose layers are alike.
  package convenience init(shape: KVCache.Shape, team: WorkerTeam, kernels: InstructionSet) {
    self.init(layers: shape.layers(positions: .none), team: team, kernels: kernels)
  }

  package func makeMemory(_ plan: KVCache.Plan, slotType: KVCache.SlotType) throws(KVCacheError) -> KVCache {
    try KVCache(plan: plan, layers: layers, slotType: slotType)
  }

  package func endPrompt(of memory: KVCache) { memory.finishPrompt(team: team, kernels: kernels) }

  package func beginStep(_ segments: [Segment]) {
    startStep()
    for segment in segments { add(segment.memory, rows: segment.rows) }
    finishStep()
  }

  /// Decides what the one sequence of a step reads and where its tokens go, as `beginStep(_:)` does for several.
  package func beginStep(_ cache: KVCache, rows: Int) {
    startStep()
    add(cache, rows: 0..<rows)
    finishStep()
  }

  private func startStep() {
    (replayCount, rowCount, recurrentCount) = (0, 0, 0)
    units.removeAll()
    arrivals.removeAll(keepingCapacity: true)
    splitsSlots = team.threads > 1
  }

  private func finishStep() {
    splitsSlots = splitsSlots && rowCount == 1
    startedLayer = -1
    canStart = rowCount <= StartedPartials.rowLimit
    // What states do in attention they do with all of it.
    for index in 0..<replayCount where !replays[index].roles.isSubset(of: .watchesSlots) { canStart = false }
  }

  private func add(_ cache: KVCache, rows: Range<Int>) {
    precondition(cache.attention.count == layers.count, "a cache of another model")
    precondition(rows.lowerBound == rowCount, "rows that do not follow each other")
    rowCount = rows.upperBound
    if let arrival = cache.takeArrival() { arrivals.append(arrival) }
    cache.settle(team: team, kernels: kernels)
    cache.beginStep(tokens: rows.count)
    if recurrentLayout.count > 0 {
      recurrentSegments.reserve(recurrentCount + 1, keeping: recurrentCount)
      recurrentSegments.pointer[recurrentCount] = RecurrentSegment(
        first: rows.lowerBound, count: rows.count, state: cache.recurrent.floats.pointer)
      recurrentCount += 1
    }
    var kept = 0
    for group in cache.groups where group.heads.count > 0 { add(group, rows: rows, kept: &kept) }
  }

  /// - Parameter kept: floats of weights that a thread may keep of other groups of the same cache
  private func add(_ group: HeadGroup, rows: Range<Int>, kept: inout Int) {
    let shape = HeadShape(group.attention)
    guard let kind = numbers.shapes.firstIndex(of: shape) else { preconditionFailure("a cache of another model") }
    if replayCount == replays.count { replays.append(GroupReplay(shape: shape, heads: group.heads)) }
    if replays[replayCount].shape != shape { replays[replayCount] = GroupReplay(shape: shape, heads: group.heads) }
    let replay = replays[replayCount]
    replay.prepare(group, rows: rows, threads: team.threads)
    let tokens = replay.keeper.tokens(replay)
    if replay.roles.contains(.keepsWeights) {
      kept += replay.keptFloats(rows: max(tokens.tile * replay.headsPerTask, shape.queryHeads))
    }
    for scratch in scratch[kind] {
      if replay.positions.isLinearBias { scratch.reserveBias(slots: replay.largestBlock) }
      scratch.reserveWork(replay.scratchFloats)
      scratch.reserveKept(kept)
    }
    units.add(replay, index: replayCount, taskTokens: tokens.task)
    replayCount += 1
  }

  package func begin(layer: Int, queries: UnsafePointer<Float>) { self.queries = queries }

  /// Attends with the queries that have begun to what is stored, before the step's own keys are there: `finish` goes on from
  /// there, with the same result bit for bit. Does nothing where a step is long, or states take part in it.
  package func attendToStored(layer: Int) {
    guard canStart, let queries else { return }
    for arrival in arrivals { arrival.wait(layer: sharedKeys.owner(of: layer)) }
    if !splitsSlots { started.reserve(rows: rowCount * layers[layer].queryHeads, headDim: layers[layer].headDim) }
    // Neither keys nor output are touched.
    var call = call(layer: layer, queries: queries, keys: queries, values: queries, output: emptyOutput.pointer)
    call.phase = .stored
    attend(call)
    startedLayer = layer
  }

  private func attend(_ call: LayerCall) {
    if splitsSlots {
      perform(.attendShare, call, inParallel: true)
    } else {
      run(.attend, units.tasks.count, call, inParallel: true)
    }
  }

  private func call(
    layer: Int, queries: UnsafePointer<Float>, keys: UnsafePointer<Float>, values: UnsafePointer<Float>,
    output: UnsafeMutablePointer<Float>
  ) -> LayerCall {
    LayerCall(
      layer: layer, scale: layers[layer].scale, softCap: layers[layer].softCap ?? 0, queries: queries, keys: keys,
      values: values, sinkLogits: numbers.sinkLogits(layer: layer), gates: numbers.gates(layer: layer), output: output)
  }

  package func finish(
    layer: Int, keys: UnsafePointer<Float>?, values: UnsafePointer<Float>?, output: UnsafeMutablePointer<Float>
  ) { finish(layer: layer, keys: keys, values: values, output: output, partials: nil) }

  /// Attends as `finish(layer:keys:values:output:)` does, and hands out the partials of all rows.
  ///
  /// - Parameter partials: `[token, query head]`; nil where nobody asks for them
  package func finish(
    layer: Int, keys: UnsafePointer<Float>?, values: UnsafePointer<Float>?, output: UnsafeMutablePointer<Float>,
    partials: PartialRows?
  ) {
    guard let queries else { preconditionFailure("finish without begin") }
    self.queries = nil
    let owner = sharedKeys.owner(of: layer)
    for arrival in arrivals { arrival.wait(layer: owner) }
    if owner == layer, let keys, let values {
      sharedKeys.keep(layer: layer, rows: rowCount, keys: keys, values: values)
    }
    let (keys, values) = owner == layer ? (keys, values) : sharedKeys.keysAndValues(readBy: layer)
    guard let keys, let values else { preconditionFailure("a layer with keys of its own has some") }
    var call = call(layer: layer, queries: queries, keys: keys, values: values, output: output)
    call.partials = partials
    if startedLayer == layer { call.phase = .chunk }
    startedLayer = -1
    let isLarge = rowCount >= Self.parallelRows
    if owner == layer { run(.store, units.stores.count, call, inParallel: isLarge) }
    for index in 0..<replayCount where replays[index].roles.contains(.before) { prepareReading(index, call) }
    attend(call)
    if splitsSlots {
      if finishSplit(call) { perform(.finishColumnShares, call, inParallel: true) }
    } else {
      run(.finishColumns, units.columns.count, call, inParallel: isLarge)
    }
    for index in 0..<replayCount { replays[index].forEach(.observes) { $0.observe(call, replays[index]) } }
    guard sharedKeys.isLastReader(layer) else { return }
    call.layer = owner
    run(.place, units.placements.count, call, inParallel: isLarge)
  }

  /// Steps of fewer rows are stored and placed by the caller alone: a join would cost more.
  private static let parallelRows = 16

  /// What comes before attention, one group after another: it is rare, and large by itself.
  private func prepareReading(_ index: Int, _ call: LayerCall) {
    let replay = replays[index]
    replay.forEach(.before) { mechanism in
      for phase in 0..<2 {
        let count = mechanism.units(phase: phase, layer: call.layer, threads: team.threads, replay)
        if count > 0 {
          run(.before(replay: index, phase: phase, units: count), count, call, inParallel: mechanism.isLarge)
        }
      }
    }
  }

  /// A part of a layer that all threads of the team do together.
  private enum Work {
    case store
    case before(replay: Int, phase: Int, units: Int)
    case attend
    case attendShare
    case finishColumnShares
    case finishColumns
    case place
  }

  /// What the threads of a team are handed. A closure in its place would be allocated at every join.
  private struct Job {
    var attention: Unmanaged<LocalAttention>
    var work: Work
    var count: Int
    var call: LayerCall
  }

  /// Does `count` units of work, each by the thread that is free first.
  private func run(_ work: Work, _ count: Int, _ call: LayerCall, inParallel: Bool) {
    guard count > 0 else { return }
    nextUnit.store(0, ordering: .relaxed)
    perform(work, count: count, call, inParallel: inParallel)
  }

  private func perform(_ work: Work, count: Int = 0, _ call: LayerCall, inParallel: Bool) {
    var job = Job(attention: .passUnretained(self), work: work, count: count, call: call)
    guard inParallel && team.threads > 1 else { return perform(job, WorkShare(index: 0, count: 1)) }
    withUnsafeMutablePointer(to: &job) { context in
      team.run(context) { context, thread, threads in
        guard let job = context?.assumingMemoryBound(to: Job.self) else { return }
        job.pointee.attention._withUnsafeGuaranteedRef {
          $0.perform(job.pointee, WorkShare(index: Int(thread), count: Int(threads)))
        }
      }
    }
  }

  private func perform(_ job: Job, _ share: WorkShare) {
    switch job.work {
    case .attendShare: attendShare(job.call, share)
    case .finishColumnShares: finishColumnShares(job.call, share)
    default:
      while true {
        let unit = nextUnit.wrappingAdd(1, ordering: .relaxed).oldValue
        guard unit < job.count else { return }
        perform(job.work, unit: unit, job.call, thread: share.index)
      }
    }
  }

  private func perform(_ work: Work, unit: Int, _ call: LayerCall, thread: Int) {
    switch work {
    case .store:
      let unit = units.stores.pointer[unit]
      let replay = replays[unit.replay]
      guard replay.holds(layer: call.layer) else { return }
      replay.storeChunk(unit.range, call, scratch(replay, thread), kernels)
    case .before(let index, let phase, let count):
      let replay = replays[index]
      replay.forEach(.before) {
        $0.work(unit: unit, of: count, phase: phase, call, replay, scratch(replay, thread), kernels)
      }
    case .attend:
      let task = units.tasks.pointer[unit]
      let replay = replays[task.replay]
      guard replay.place(layer: call.layer, head: task.head) >= 0 else { return }
      attend(task, replay, call, scratch(replay, thread))
    case .finishColumns:
      let unit = units.columns.pointer[unit]
      let replay = replays[unit.replay]
      guard replay.holds(layer: call.layer) else { return }
      replay.keeper.finishColumns(unit: unit.first, layer: call.layer, replay)
    case .place:
      let unit = units.placements.pointer[unit]
      let replay = replays[unit.replay]
      guard replay.place(layer: call.layer, head: unit.head) >= 0 else { return }
      replay.place(head: unit.head, moves: unit.range, call, scratch(replay, thread), kernels)
    case .attendShare, .finishColumnShares: assertionFailure("work without units")
    }
  }

  private func scratch(_ replay: GroupReplay, _ thread: Int) -> ThreadScratch {
    numbers.shapes.count == 1 ? scratch[0][thread] : scratch[numbers.kind(of: replay.shape)][thread]
  }

  private func attend(_ task: AttentionTask, _ replay: GroupReplay, _ call: LayerCall, _ scratch: ThreadScratch) {
    let keeps = replay.roles.contains(.keepsWeights)
    let tileTokens = replay.keeper.tokens(replay).tile
    if keeps { replay.keeper.startColumns(task, replay) }
    for start in stride(from: task.tokens.lowerBound, to: task.tokens.upperBound, by: tileTokens) {
      let tile = task.tile(start..<min(start + tileTokens, task.tokens.upperBound))
      if call.phase == .chunk {
        started.takeUp(scratch.partial, of: tile, replay)
      } else {
        replay.start(tile, firstRow: 0, sinkLogits: call.sinkLogits, scratch)
      }
      replay.attend(
        tile, call, share: .whole, firstRow: 0, keeping: keeps ? scratch.kept : nil, scratch: scratch, kernels)
      let partial = scratch.partial
      if call.phase == .stored {
        started.keep(partial, of: tile, replay)
        continue
      }
      if keeps {
        replay.keeper.addColumns(
          tile, replay, share: .whole, maximum: partial.maximum.pointer, sum: partial.sum.pointer, kept: scratch.kept,
          kernels)
      }
      replay.close(tile, call, firstRow: 0, scratch, kernels)
      partial.finish(rows: tile.rows, kernels: kernels)
      replay.store(tile, scratch, into: call.output)
    }
  }

  /// One token of one sequence: every thread attends to its share of the slots for all heads.
  private func attendShare(_ call: LayerCall, _ share: WorkShare) {
    var kept = 0
    for index in 0..<units.tasks.count {
      let task = units.tasks.pointer[index]
      let replay = replays[task.replay]
      guard replay.place(layer: call.layer, head: task.head) >= 0 else { continue }
      let (scratch, row) = (scratch(replay, share.index), task.queryHeads.lowerBound)
      if call.phase != .chunk {
        replay.start(task, firstRow: row, sinkLogits: share.index == 0 ? call.sinkLogits : nil, scratch)
      }
      kept += replay.attend(
        task, call, share: share, firstRow: row,
        keeping: replay.roles.contains(.keepsWeights) ? scratch.kept + kept : nil, scratch: scratch, kernels)
    }
  }

  /// What follows from the weights that each thread kept of its share of the same token.
  private func finishColumnShares(_ call: LayerCall, _ share: WorkShare) {
    var (first, kept) = (0, 0)
    for index in 0..<replayCount {
      let replay = replays[index]
      var last = first
      while last < units.tasks.count, units.tasks.pointer[last].replay == index { last += 1 }
      if replay.holds(layer: call.layer) {
        kept += replay.keeper.finishColumns(
          UnsafeBufferPointer(start: units.tasks.pointer + first, count: last - first), replay, share: share,
          layer: call.layer, kept: scratch(replay, share.index).kept + kept, kernels)
      }
      first = last
    }
  }

  /// Joins what the threads found; returns whether there are columns to finish.
  private func finishSplit(_ call: LayerCall) -> Bool {
    let shape = HeadShape(layers[call.layer])
    let kind = numbers.kind(of: shape)
    let total = scratch[kind][0].partial
    for thread in 1..<team.threads {
      total.merge(scratch[kind][thread].partial, rows: shape.queryHeads, kernels: kernels)
    }
    var keepsWeights = false
    for index in 0..<replayCount where replays[index].roles.contains(.keepsWeights) {
      replays[index].keeper.keepSoftmax(total, replays[index])
      keepsWeights = true
    }
    for index in 0..<units.tasks.count {
      let task = units.tasks.pointer[index]
      let replay = replays[task.replay]
      guard replay.place(layer: call.layer, head: task.head) >= 0 else { continue }
      replay.close(task, call, firstRow: task.queryHeads.lowerBound, scratch[kind][0], kernels)
    }
    total.finish(rows: shape.queryHeads, kernels: kernels)
    call.output.update(from: total.output.pointer, count: shape.queryHeads * shape.headDim)
    return keepsWeights
  }
}
