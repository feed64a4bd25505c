package import SessionStore

/// A serving machine with kept sessions, simulated turn by turn: prompts one after another, answers together.
///
/// Time is that of `ServingCosts`, where sessions are is decided by `LookAhead`. Saving is asynchronous and costs nothing here.
package struct SessionSimulation {
  package struct Options: Sendable {
    package var costs: ServingCosts
    package var memoryBytes = 128e9
    package var diskBytes = 10e12
    /// Nil keeps nothing: every prompt is read as a whole.
    package var policy: LookAhead<Int>.Policy?
    /// Turns at the beginning that are not counted.
    package var warmTurns = 0

    package init(costs: ServingCosts, policy: LookAhead<Int>.Policy?) { (self.costs, self.policy) = (costs, policy) }
  }

  package struct Result: Sendable, Hashable {
    /// Turns that go on with something, and those of them whose session was there, and in memory when its turn came.
    package var (returning, hits, memoryHits) = (0, 0, 0)
    package var turns = 0
    /// Seconds from when a request's turn came to its first token, all together.
    package var firstTokenSeconds = 0.0
    /// Seconds that requests waited before.
    package var waitingSeconds = 0.0
    package var promptTokens = 0.0
    /// Seconds in which prompts were read or waited for, and all in which the machine had work.
    package var prefillSeconds = 0.0
    package var busySeconds = 0.0

    package var hitRate: Double { Double(hits) / Double(max(1, returning)) }
    package var memoryShare: Double { Double(memoryHits) / Double(max(1, hits)) }
    package var meanFirstToken: Double { firstTokenSeconds / Double(max(1, turns)) }
    package var meanWaiting: Double { waitingSeconds / Double(max(1, turns)) }
    package var prefillRate: Double { prefillSeconds > 0 ? promptTokens / prefillSeconds : 0 }
  }

  private struct Job {
    let session: Int
    let turn: Int
    let arrival: Double
  }

  private struct Running {
    let job: Job
    var left: Int
  }

  private let trace: ConversationTrace
  private let options: Options
  private var tiers: SimulatedTiers
  private var now = 0.0
  private var arrivals: EarliestFirst<Job>
  private var queue: [Job] = []
  private var running: [Running] = []
  /// Tokens that a session's history has.
  private var history: [Int: Int] = [:]
  /// The session that is on its way from disk to memory, and when it is there.
  private var fetch: (session: Int, end: Double)?
  private var settled: Set<Int> = []
  private var queueChanges = 0
  private var served = 0
  private var result = Result()

  package static func run(_ trace: ConversationTrace, _ options: Options) -> Result {
    var simulation = SessionSimulation(trace, options)
    simulation.run()
    return simulation.result
  }

  private init(_ trace: ConversationTrace, _ options: Options) {
    (self.trace, self.options) = (trace, options)
    tiers = SimulatedTiers(
      memory: options.memoryBytes, disk: options.diskBytes, policy: options.policy ?? .leastRecentlyUsed)
    arrivals = EarliestFirst()
    for (session, conversation) in trace.conversations.enumerated() {
      arrivals.insert(Job(session: session, turn: 0, arrival: conversation.arrival), at: conversation.arrival)
    }
  }

  private mutating func run() {
    while true {
      takeArrivals()
      while running.count < options.costs.batch, !queue.isEmpty {
        admit()
        takeArrivals()
      }
      if running.isEmpty {
        guard let next = arrivals.earliest else { return }
        advance(to: max(now, next), isBusy: false)
        continue
      }
      decode()
    }
  }

  private mutating func advance(to moment: Double, isBusy: Bool) {
    if isBusy, isCounted { result.busySeconds += moment - now }
    now = moment
    while let done = fetch, done.end <= now {
      tiers.bringUp(done.session)
      fetch = nil
      beginFetch(at: done.end)
    }
  }

  private var isCounted: Bool { served >= options.warmTurns }

  private mutating func takeArrivals() {
    var isChanged = false
    while let next = arrivals.earliest, next <= now, let job = arrivals.removeFirst() {
      queue.append(job)
      isChanged = true
    }
    if isChanged { noteQueue() }
  }

  /// Of a long queue every sixteenth change is noted: the order of those who stand in it stays.
  private mutating func noteQueue() {
    guard options.policy == .queueAware else { return }
    queueChanges += 1
    guard queue.count < 256 || queueChanges % 16 == 0 else { return }
    tiers.expect(queue.lazy.map(\.session))
    settled = []
    if fetch == nil { beginFetch(at: now) }
  }

  private mutating func beginFetch(at moment: Double) {
    guard options.policy == .queueAware, let session = tiers.nextFetch(except: settled) else { return }
    settled.insert(session)
    fetch = (session, moment + tiers.bytes(of: session) / options.costs.diskBandwidth)
  }

  /// Reads the prompt of the first request that waits.
  private mutating func admit() {
    let job = queue.removeFirst()
    let costs = options.costs
    let question = trace.conversations[job.session].turns[job.turn].question
    var past = history[job.session] ?? 0
    // Of a history that is too long the oldest half of a window goes, whoever remembers it.
    while past > 0, past + question > costs.window { past = max(0, past - costs.window / 2) }
    history[job.session] = past
    var place = options.policy == nil || past == 0 ? .nowhere : tiers.place(of: job.session)
    let compute = costs.prefillSeconds * Double(past + question)
    var seconds = compute
    if place != .nowhere {
      let bytes = costs.bytesPerToken * Double(past)
      var wait = 0.0
      if let fetch, fetch.session == job.session { (place, wait) = (.memory, fetch.end - now) }
      let bandwidth = place == .memory ? costs.memoryBandwidth : min(costs.memoryBandwidth, costs.diskBandwidth)
      let load = [Double](repeating: bytes / bandwidth / Double(costs.layers), count: costs.layers)
      let computeLayer = costs.prefillSeconds * Double(question) / Double(costs.layers)
      let lead = LayerLead.layers(loadSeconds: load, computeSeconds: computeLayer)
      let end = LayerLead.replay(loadSeconds: load, computeSeconds: computeLayer, lead: lead).end
      // What is read ahead comes while others compute, as far as the request waited.
      let ahead = min(now - job.arrival, load.prefix(lead).reduce(0, +))
      let loaded = wait + end - (place == .memory ? ahead : 0)
      if loaded < compute { seconds = loaded } else { place = .nowhere }
    }
    if isCounted {
      result.turns += 1
      if job.turn > 0 { result.returning += 1 }
      if place != .nowhere { result.hits += 1 }
      if place == .memory { result.memoryHits += 1 }
      result.firstTokenSeconds += seconds
      result.waitingSeconds += now - job.arrival
      result.promptTokens += Double(past + question)
      result.prefillSeconds += seconds
    }
    if place != .nowhere { tiers.noteUse(job.session) }
    served += 1
    running.append(
      Running(job: job, left: trace.conversations[job.session].turns[job.turn].answer))
    noteQueue()
    advance(to: now + seconds, isBusy: true)
  }

  /// Writes answers until one ends, or somebody comes for whom there is a place.
  private mutating func decode() {
    var steps = running.map(\.left).min() ?? 0
    if running.count < options.costs.batch, let next = arrivals.earliest {
      steps = min(steps, max(1, Int(((next - now) / options.costs.decodeSeconds).rounded(.up))))
    }
    for index in running.indices { running[index].left -= steps }
    advance(to: now + Double(steps) * options.costs.decodeSeconds, isBusy: true)
    for ended in running where ended.left <= 0 { finish(ended.job) }
    running.removeAll { $0.left <= 0 }
  }

  private mutating func finish(_ job: Job) {
    let turns = trace.conversations[job.session].turns
    let tokens = min(
      options.costs.window, (history[job.session] ?? 0) + turns[job.turn].question + turns[job.turn].answer)
    history[job.session] = tokens
    if options.policy != nil { tiers.save(job.session, bytes: options.costs.bytesPerToken * Double(tokens)) }
    guard job.turn + 1 < turns.count else { return }
    let arrival = now + turns[job.turn + 1].thinkSeconds
    arrivals.insert(Job(session: job.session, turn: job.turn + 1, arrival: arrival), at: arrival)
  }
}

/// Elements by the moment at which they come, the earliest first: a binary heap.
struct EarliestFirst<Element> {
  private var heap: [(moment: Double, element: Element)] = []

  var earliest: Double? { heap.first?.moment }

  mutating func insert(_ element: Element, at moment: Double) {
    heap.append((moment, element))
    var child = heap.count - 1
    while child > 0, heap[child].moment < heap[(child - 1) / 2].moment {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  mutating func removeFirst() -> Element? {
    guard let first = heap.first, let last = heap.popLast() else { return nil }
    guard !heap.isEmpty else { return first.element }
    heap[0] = last
    var parent = 0
    while true {
      let left = 2 * parent + 1
      guard left < heap.count else { break }
      let child = left + 1 < heap.count && heap[left + 1].moment < heap[left].moment ? left + 1 : left
      guard heap[child].moment < heap[parent].moment else { break }
      heap.swapAt(child, parent)
      parent = child
    }
    return first.element
  }
}
