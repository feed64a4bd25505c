import Kernels

/// Where everything stands in a run of a fleet.
struct FleetState {
  private enum Event {
    case arrival
    case stepDone(cell: Int, attempt: Int)
    case failure
    case repaired(cell: Int)
    case measuring
    case end
  }

  private struct Cell {
    var running = RunningBatch()
    var stepStart = 0.0
    var isStepping = false
    /// Whether the step under way began before a failure; what that costs is part of its time.
    var isRepeating = false
    /// Counts failures, so that the step that one has ended is not taken for done.
    var attempt = 0
    var repairedAt = 0.0
  }

  private let pipeline: Pipeline
  private let trace: RequestTrace
  private let options: FleetRun.Options
  /// One source for each kind of chance, so that failures do not change who comes.
  private var arrivals: SplitMix64
  private var failures: SplitMix64
  private var events = EventQueue<Event>()
  private var cells: [Cell]
  private var queue: [(request: RequestTrace.Request, arrival: Double)] = []
  private var queueHead = 0
  private var now = 0.0
  private var isMeasuring = false
  private var running = 0
  private var reserved = 0
  private var tokens = 0
  private var downSeconds = 0.0
  private(set) var result = FleetRun.empty

  init(_ pipeline: Pipeline, _ trace: RequestTrace, _ options: FleetRun.Options) {
    precondition(options.cells > 0 && options.arrivalsPerSecond > 0 && options.seconds > 0 && options.warmUp >= 0)
    self.pipeline = pipeline
    self.trace = trace
    self.options = options
    arrivals = SplitMix64(seed: options.seed)
    failures = SplitMix64(seed: options.seed ^ SplitMix64.increment)
    cells = Array(repeating: Cell(), count: options.cells)
    events.add(.measuring, at: options.warmUp)
    events.add(.end, at: options.warmUp + options.seconds)
    events.add(.arrival, at: arrivals.exponential(mean: 1 / options.arrivalsPerSecond))
    addFailure()
  }

  private var waitingCount: Int { queue.count - queueHead }

  private mutating func addFailure() {
    guard options.failureSeconds.isFinite else { return }
    let machines = Double(options.cells * (options.modelMachines + options.memoryMachines))
    events.add(.failure, at: now + failures.exponential(mean: options.failureSeconds / machines))
  }

  /// Does what happens next; false when all is measured.
  mutating func advance() -> Bool {
    guard let (time, event) = events.next() else { return false }
    if isMeasuring {
      result.meanRunning += (time - now) * Double(running)
      result.meanWaiting += (time - now) * Double(waitingCount)
      result.reservedShare += (time - now) * Double(reserved)
    }
    now = time
    switch event {
    case .arrival: arrive()
    case .stepDone(let cell, let attempt): if cells[cell].attempt == attempt { endStep(cell) }
    case .failure: fail()
    case .repaired(let cell):
      guard cells[cell].repairedAt <= now else { break }
      beginStep(cell)
      admitNext()
    case .measuring:
      isMeasuring = true
      result.presentAtStart = running + waitingCount
    case .end:
      finish()
      return false
    }
    return true
  }

  private mutating func finish() {
    result.presentAtEnd = running + waitingCount
    result.meanRunning /= options.seconds
    result.meanWaiting /= options.seconds
    result.reservedShare /= options.seconds * Double(max(pipeline.capacity, 1) * options.cells)
    result.tokensPerSecond = Double(tokens) / options.seconds
    let stillDown = cells.reduce(0) { $0 + max(0, $1.repairedAt - now) }
    result.availability = 1 - (downSeconds - stillDown) / (options.seconds * Double(options.cells))
  }

  private mutating func arrive() {
    events.add(.arrival, at: now + arrivals.exponential(mean: 1 / options.arrivalsPerSecond))
    let request = trace.request(using: &arrivals)
    if isMeasuring { result.arrived += 1 }
    guard request.tokens <= pipeline.capacity else {
      if isMeasuring { result.refused += 1 }
      return
    }
    queue.append((request, now))
    admitNext()
  }

  /// Gives places to those who wait longest, as long as there is room for them.
  private mutating func admitNext() {
    while queueHead < queue.count {
      let (request, arrival) = queue[queueHead]
      guard let cell = roomiest(for: request) else { break }
      queueHead += 1
      cells[cell].running.add(.init(request: request, arrival: arrival, admission: now))
      running += 1
      reserved += request.tokens
      if isMeasuring { result.waiting.add(now - arrival) }
      if !cells[cell].isStepping { beginStep(cell) }
    }
    if queueHead > 1024, queueHead * 2 > queue.count {
      queue.removeFirst(queueHead)
      queueHead = 0
    }
  }

  private func roomiest(for request: RequestTrace.Request) -> Int? {
    var best: Int?
    for index in cells.indices where cells[index].repairedAt <= now {
      let running = cells[index].running
      guard running.count < options.mostBatchOfCell, running.reserved + request.tokens <= pipeline.capacity else {
        continue
      }
      if best.map({ running.reserved < cells[$0].running.reserved }) ?? true { best = index }
    }
    return best
  }

  private mutating func beginStep(_ index: Int) {
    let running = cells[index].running
    cells[index].isStepping = running.count > 0
    guard running.count > 0, cells[index].repairedAt <= now else { return }
    if !cells[index].isRepeating { cells[index].stepStart = now }
    let seconds = pipeline.step(batch: Double(running.count), tokens: Double(running.tokens))
    events.add(.stepDone(cell: index, attempt: cells[index].attempt), at: now + seconds)
  }

  private mutating func endStep(_ index: Int) {
    let count = cells[index].running.count
    let start = cells[index].stepStart
    cells[index].isRepeating = false
    let done = cells[index].running.step()
    running -= done.count
    reserved -= done.reduce(0) { $0 + $1.request.tokens }
    if isMeasuring {
      tokens += count
      result.tokenSeconds.add(now - start, weight: Double(count))
      result.finished += done.count
      for sequence in done { result.residence.add(now - sequence.arrival) }
    }
    if !done.isEmpty { admitNext() }
    beginStep(index)
  }

  private mutating func fail() {
    addFailure()
    let machines = options.modelMachines + options.memoryMachines
    let machine = Int(failures.next() % UInt64(options.cells * machines))
    let index = machine / machines
    if isMeasuring { result.failures += 1 }
    var seconds = options.heartbeat * options.missedHeartbeats + options.replacementSeconds
    if machine % machines >= options.modelMachines {
      seconds += options.rebuildSecondsPerToken * Double(cells[index].running.tokens)
    }
    let before = max(cells[index].repairedAt, now)
    let after = max(before, now + seconds)
    if isMeasuring { downSeconds += after - before }
    cells[index].isRepeating = cells[index].isStepping
    cells[index].attempt += 1
    cells[index].repairedAt = after
    events.add(.repaired(cell: index), at: after)
  }
}
