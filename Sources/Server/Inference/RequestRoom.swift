import Engine
import KVCaches
import SessionStore
import Tokenizers

/// Brings the requests of many clients through one model together; lives on the model's thread.
///
/// A request waits until a place and the bytes of its memory are free, then its prompt is read in chunks beside the tokens
/// of others (`Scheduler`, `Turns`). Between two steps it looks who has gone.
final class RequestRoom {
  struct Limits: Sendable {
    /// Requests that are computed together.
    var running = 32
    /// Bytes of all memories.
    var bytes = 1 << 30
    var speculation = Speculation.off
  }

  /// The newest tokens that a memory can take back, where the plan does not keep all.
  static let undoDepth = 128

  let engine: InferenceEngine
  let tokenizer: Tokenizer
  private let slotType: KVCache.SlotType
  private let scheduler: Scheduler
  let limits: Limits
  private let status: ServerStatus
  private(set) var waiting: [GenerationJob] = []
  /// Whether others wait or run than the store was told.
  var queueHasChanged = false
  private(set) var running: [GenerationJob] = []
  /// Requests that have their place and whose memories are on their way from the store.
  var loading: [LoadingRequest] = []
  /// How long steps take.
  var estimates = StepEstimates()
  let wake: @Sendable () -> Void
  /// Requests that ever came.
  private var arrivals = 0
  var held = HeldSequences()
  /// Prompts that were read in the step under way, for further answers.
  private var copies: [PromptCopy] = []
  /// Where memories of sessions outlive the server; nil where they do not.
  let stored: StoredMemories?

  init(
    _ loaded: LanguageModel.Loaded, slotType: KVCache.SlotType, limits: Limits, status: ServerStatus,
    archive: SessionArchive? = nil, wake: @escaping @Sendable () -> Void = {}
  ) {
    self.wake = wake
    stored = archive.map { StoredMemories($0) }
    (engine, tokenizer) = (loaded.engine, loaded.tokenizer)
    (self.slotType, self.limits, self.status) = (slotType, limits, status)
    scheduler = Scheduler(engine: engine)
    scheduler.costs = engine.stepCosts
  }

  func take(_ jobs: [GenerationJob]) {
    for job in jobs {
      arrivals += 1
      job.arrival = arrivals
      held.claim(for: job.request, arrivals)
    }
    waiting += jobs
    queueHasChanged = true
  }

  /// Makes one step for all who run.
  ///
  /// - Returns: whether there may be more to do at once.
  func step() -> Bool {
    letCancelledGo()
    beginLoaded()
    admit()
    tellQueue()
    var asks = false
    for job in running {
      if let sequence = job.requestToken() { scheduler.add(sequence) }
      asks = asks || job.isWaiting
    }
    note()
    guard asks else { return false }
    let clock = ContinuousClock.now
    var tokens = 0
    scheduler.step { sequence, logits in
      tokens += 1
      answer(sequence, logits)
    }
    shareCopies()
    let duration = ContinuousClock.now - clock
    estimates.note(rows: scheduler.rows, seconds: duration / .seconds(1))
    for job in running where job.isLoading { settleLoad(of: job) }
    status.noteStep(tokens: tokens, guesses: scheduler.guesses, duration: duration)
    note()
    return true
  }

  /// The memory of a conversation, the one in use before one that waits; nil where there is none.
  func memory(of session: String, owner: Int) -> SessionMemory? {
    if let job = running.last(where: { $0.request.session == session && $0.request.owner == owner }),
      let sequence = job.sequence
    {
      return SessionMemory(sequence, isInUse: true)
    }
    return held.last(of: session, owner: owner).map { SessionMemory($0.sequence, isInUse: false) }
  }

  /// The tokens that the memory of a conversation has read or is to read, in the order of the stream.
  func tokens(of session: String, owner: Int) -> [Int32]? {
    let job = running.last { $0.request.session == session && $0.request.owner == owner }
    return job?.tokens ?? held.last(of: session, owner: owner)?.read.tokens
  }

  /// Lets go of the memories of a conversation that wait.
  ///
  /// - Returns: whether there was one.
  func forget(_ session: String, owner: Int) -> Bool {
    defer { note() }
    return held.removeAll(of: session, owner: owner)
  }

  private func note() {
    status.note(
      running: running.count + loading.count, waiting: waiting.count, held: held.count,
      runningBytes: running.reduce(0) { $0 + ($1.sequence?.bytes ?? 0) }
        + loading.reduce(0) { $0 + $1.memory.memory.sequence.bytes }, heldBytes: held.bytes)
  }

  private func letCancelledGo() {
    for job in waiting where job.channel.isCancelled {
      held.release(job.arrival)
      job.channel.send(.ended(job.result), choice: job.choice)
    }
    waiting.removeAll { $0.channel.isCancelled }
    for request in loading where request.job.channel.isCancelled {
      request.memory.load.cancel()
      request.job.channel.send(.ended(request.job.result), choice: request.job.choice)
    }
    loading.removeAll { $0.job.channel.isCancelled }
    for job in running where job.channel.isCancelled { finish(job) }
  }

  /// Lets requests in, in turn by owner, while there is room.
  private func admit() {
    while running.count + loading.count < limits.running, let index = next() {
      let job = waiting[index]
      // What waits to be written has to be less before more comes to be written.
      if let stored, job.request.storedSession != nil, stored.isBehind, !isEmpty { return }
      // Its turn comes when others have ended; nobody overtakes it.
      guard fits(job) else { return }
      let reused = waitingMemory(for: job.request)
      if reused == nil { makeRoom(for: job.bytes) }
      do {
        if let (memory, match) = reused {
          job.madeBytes = memory.sequence.bytes
          guard fits(job) else { return held.hold(memory) }
          leaveQueue(job)
          start(job, StoredMemories.Found(memory: memory, match: match, use: .hit(0, from: "active")))
        } else {
          let memory = try newSequence(for: job.request)
          job.madeBytes = memory.sequence.bytes
          guard fits(job) else { return }
          leaveQueue(job)
          if let load = stored?.begin(
            job.request, into: memory, vocabulary: engine.vocabularySize, terms: terms(of: job.request))
          {
            loading.append(LoadingRequest(job: job, memory: load))
          } else {
            start(job, StoredMemories.Found(memory: memory, use: .miss(.neverStored)))
          }
        }
      } catch {
        leaveQueue(job)
        fail(job, error)
      }
      makeRoom()
    }
  }

  private func leaveQueue(_ job: GenerationJob) {
    waiting.removeAll { $0 === job }
    held.release(job.arrival)
    queueHasChanged = true
  }

  /// Whether the bytes of a request are free, those of memories that wait not counted; one alone always may run.
  private func fits(_ job: GenerationJob) -> Bool { isEmpty || runningBytes + job.bytes <= limits.bytes }

  private var isEmpty: Bool { running.isEmpty && loading.isEmpty }

  private var runningBytes: Int { (running + loading.map(\.job)).reduce(0) { $0 + $1.bytes } }

  /// Lets memories that wait go until all are within the limit.
  func makeRoom(for bytes: Int = 0) {
    while runningBytes + bytes + held.bytes > limits.bytes, held.evict() {}
  }

  /// The oldest request of the owner who has fewest under way.
  private func next() -> Int? {
    var counts: [Int: Int] = [:]
    for job in running + loading.map(\.job) { counts[job.request.owner, default: 0] += 1 }
    let ready = waiting.indices.filter { !(waiting[$0].promptReader?.isReading ?? false) }
    return ready.min { a, b in
      (counts[waiting[a].request.owner, default: 0], a) < (counts[waiting[b].request.owner, default: 0], b)
    }
  }

  func start(_ job: GenerationJob, _ found: StoredMemories.Found) {
    do {
      // A memory that another session made is stored as this one's, or under a name of its own.
      var memory = found.memory
      if let key = job.request.storedSession {
        if memory.checkpointer?.key != key { memory.checkpointer = stored?.checkpointer(key) }
      } else if memory.checkpointer?.key.isUnnamed == false || !StoredMemories.isSameConversation(found.match) {
        memory.checkpointer = nil
      }
      try job.start(
        memory, found.match, found.use, load: found.load, tokenizer: tokenizer, constraints: engine.constraints)
      if !job.isLoading { noteStart(job) }
      running.append(job)
    } catch {
      fail(job, error)
    }
  }

  func noteStart(_ job: GenerationJob) {
    status.noteStart(promptTokens: job.result.promptTokens, cachedTokens: job.result.cachedTokens)
  }

  /// A memory that waits here and has read the start of a prompt; another conversation's only where the session's own is not
  /// stored.
  private func waitingMemory(for request: GenerationRequest) -> (HeldSequence, HeldSequence.Match)? {
    guard var reused = held.take(for: request) else { return nil }
    guard let stored else { return reused }
    guard let session = request.storedSession else {
      guard stored.knowsMore(than: reused.0, reused.1, of: request) else { return reused }
      held.hold(reused.0)
      return nil
    }
    let isOwn = reused.0.checkpointer?.key == session
    // Another server may have gone on with the session.
    let isForeign = isOwn && stored.archive.store.isForeign(session)
    guard !isOwn || isForeign else { return reused }
    if isForeign { reused.0.checkpointer = nil }
    held.hold(reused.0)
    return nil
  }

  /// Saves a session that was answered.
  func save(_ session: ItemKey, messages: SessionCheckpointer.Record, token: Int64?) {
    held.withMemory(of: session) { stored?.save(messages, $0, session, token: token) }
  }

  /// Has a session be stored no longer.
  func forget(_ session: ItemKey) { held.forget(session) }

  private func newSequence(for request: GenerationRequest) throws -> HeldSequence {
    let sequence = try engine.makeSequence(request.plan, slotType: slotType)
    if request.session != nil { sequence.memory.recordTokens() }
    // Tokens that melt together cannot be taken back: such a memory is read anew instead.
    try? sequence.keepUndoLog(depth: Self.undoDepth)
    // Nor are guesses, and such an answer is written without.
    try? sequence.speculate(limits.speculation, costs: engine.guessCosts)
    return HeldSequence(sequence: sequence, owner: request.owner, plan: request.plan)
  }

  private func answer(_ sequence: Sequence, _ logits: UnsafeMutableBufferPointer<Float>) {
    guard let job = running.first(where: { $0.sequence === sequence }) else {
      return assertionFailure("logits that nobody asked for")
    }
    // Computed without layers that did not come: the prompt is read again.
    guard settleLoad(of: job, hasComputed: true) else { return }
    if job.isReading, waiting.contains(where: { $0.promptReader === job }), let copy = PromptCopy(job, logits) {
      copies.append(copy)
    }
    accept(job, logits)
  }

  private func accept(_ job: GenerationJob, _ logits: UnsafeMutableBufferPointer<Float>) {
    do {
      if try job.accept(logits) { finish(job) }
    } catch {
      remove(job)
      fail(job, error)
    }
  }

  /// Begins further answers to prompts that were just read, as many as there is room for; the others read for themselves.
  private func shareCopies() {
    for copy in copies {
      copy.begin(
        waiting.filter { $0.promptReader === copy.reader }, tokenizer: tokenizer, constraints: engine.constraints
      ) { job in
        let need = runningBytes + job.request.bytes
        guard running.count + loading.count < limits.running, need <= limits.bytes else { return nil }
        while need + held.bytes > limits.bytes, held.evict() {}
        leaveQueue(job)
        return try newSequence(for: job.request)
      } accept: { job, logits in
        status.noteStart(promptTokens: job.result.promptTokens, cachedTokens: job.result.cachedTokens)
        running.append(job)
        accept(job, logits)
      } fail: { job, error in
        leaveQueue(job)
        fail(job, error)
      }
    }
    copies = []
  }

  /// Ends all requests with an error.
  func failAll(_ error: RequestError) {
    let jobs = waiting + running + loading.map(\.job)
    for request in loading { request.memory.load.cancel() }
    (waiting, loading) = ([], [])
    for job in running { remove(job) }
    for job in jobs { fail(job, error) }
    note()
  }

  private func remove(_ job: GenerationJob) {
    running.removeAll { $0 === job }
    if let sequence = job.sequence { scheduler.remove(sequence) }
  }

  private func finish(_ job: GenerationJob) {
    remove(job)
    queueHasChanged = true
    if let memory = job.end(tokenizer: tokenizer) {
      // Of several answers to a prompt one is enough; one that was broken off is asked for again from where it began.
      let isWorthStoring = job.choice == 0 && job.result.finish != .cancelled
      held.hold(isWorthStoring ? stored?.saveUnnamed(memory, of: job.request) ?? memory : memory)
    }
    makeRoom()
    status.noteEnd(isCancelled: job.result.finish == .cancelled)
    job.channel.send(.ended(job.result), choice: job.choice)
  }

  private func fail(_ job: GenerationJob, _ error: any Error) {
    status.noteFailure()
    let failure = error as? RequestError ?? .failed("\(error)")
    job.channel.send(.failed(failure), choice: job.choice)
  }
}
