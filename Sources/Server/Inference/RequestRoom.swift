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
    /// Rows of prompts in a step in which others write.
    var promptRows = 32
  }

  /// The newest tokens that a memory can take back, where the plan does not keep all.
  static let undoDepth = 128

  private let engine: InferenceEngine
  private let tokenizer: Tokenizer
  private let slotType: KVCache.SlotType
  private let scheduler: Scheduler
  private let limits: Limits
  private let status: ServerStatus
  private var waiting: [GenerationJob] = []
  private var running: [GenerationJob] = []
  private var held = HeldSequences()
  /// Where memories of sessions outlive the server; nil where they do not.
  private let stored: StoredMemories?

  init(
    _ loaded: LanguageModel.Loaded, slotType: KVCache.SlotType, limits: Limits, status: ServerStatus,
    archive: SessionArchive? = nil
  ) {
    stored = archive.map { StoredMemories($0) }
    (engine, tokenizer) = (loaded.engine, loaded.tokenizer)
    (self.slotType, self.limits, self.status) = (slotType, limits, status)
    scheduler = Scheduler(engine: engine)
    scheduler.promptRows = limits.promptRows
  }

  func take(_ jobs: [GenerationJob]) { waiting += jobs }

  /// Makes one step for all who run.
  ///
  /// - Returns: whether there may be more to do at once.
  func step() -> Bool {
    letCancelledGo()
    admit()
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
    status.noteStep(tokens: tokens, duration: .now - clock)
    note()
    return true
  }

  private func note() {
    status.note(
      running: running.count, waiting: waiting.count, held: held.count,
      runningBytes: running.reduce(0) { $0 + ($1.sequence?.bytes ?? 0) }, heldBytes: held.bytes)
  }

  private func letCancelledGo() {
    for job in waiting where job.channel.isCancelled { job.channel.send(.ended(job.result), choice: job.choice) }
    waiting.removeAll { $0.channel.isCancelled }
    for job in running where job.channel.isCancelled { finish(job) }
  }

  /// Lets requests in, in turn by owner, while there is room.
  private func admit() {
    while running.count < limits.running, let index = next() {
      let job = waiting[index]
      // What waits to be written has to be less before more comes to be written.
      if let stored, job.request.session != nil, stored.isBehind, !running.isEmpty { return }
      let reused = waitingMemory(for: job.request)
      var need = max(job.request.bytes, reused?.0.sequence.bytes ?? 0)
      need += running.reduce(0) { $0 + $1.bytes }
      guard need <= limits.bytes || running.isEmpty else {
        // Its turn comes when others have ended; nobody overtakes it.
        if let reused { held.hold(reused.0) }
        return
      }
      while need + held.bytes > limits.bytes, held.evict() {}
      waiting.remove(at: index)
      start(job, reused)
    }
  }

  /// The oldest request of the owner who has fewest under way.
  private func next() -> Int? {
    var counts: [Int: Int] = [:]
    for job in running { counts[job.request.owner, default: 0] += 1 }
    return waiting.indices.min { a, b in
      (counts[waiting[a].request.owner, default: 0], a) < (counts[waiting[b].request.owner, default: 0], b)
    }
  }

  private func start(_ job: GenerationJob, _ reused: (HeldSequence, HeldSequence.Match)?) {
    do {
      var (memory, match, use) = try memory(for: job.request, reused)
      // A memory that another session made is stored as this one's.
      if let key = job.request.session, memory.checkpointer?.key != key {
        memory.checkpointer = stored?.checkpointer(key)
      }
      try job.start(memory, match, use, tokenizer: tokenizer, constraints: engine.constraints)
      status.noteStart(promptTokens: job.result.promptTokens, cachedTokens: job.result.cachedTokens)
      running.append(job)
    } catch {
      fail(job, error)
    }
  }

  /// A memory that waits here and has read the start of a prompt; another conversation's only where the session's own is not
  /// stored.
  private func waitingMemory(for request: GenerationRequest) -> (HeldSequence, HeldSequence.Match)? {
    guard var reused = held.take(for: request) else { return nil }
    guard let session = request.session, let stored else { return reused }
    let isOwn = reused.0.checkpointer?.key == session
    // Another server may have gone on with the session.
    let isForeign = isOwn && stored.archive.store.isForeign(session)
    guard !isOwn || isForeign, stored.holds(session) else { return reused }
    if isForeign { reused.0.checkpointer = nil }
    held.hold(reused.0)
    return nil
  }

  /// The memory that a request begins with: one that waits here, one that is stored, or an empty one.
  private func memory(
    for request: GenerationRequest, _ reused: (HeldSequence, HeldSequence.Match)?
  ) throws -> (HeldSequence, HeldSequence.Match, CacheUse) {
    if let (memory, match) = reused { return (memory, match, .hit(0, from: "active")) }
    let found = try stored?.take(for: request, vocabulary: engine.vocabularySize) { try newSequence(for: request) }
    if let found {
      // What is stored may be of no use where another conversation's memory is.
      if found.match.symbols == 0, let (memory, match) = held.take(for: request) {
        return (memory, match, .hit(0, from: "active"))
      }
      return (found.memory, found.match, found.use)
    }
    return (try newSequence(for: request), HeldSequence.Match(), .miss(.neverStored))
  }

  /// Saves a session that was answered.
  func save(_ session: ItemKey, messages: SessionCheckpointer.Record) {
    held.withMemory(of: session) { stored?.save(messages, $0, session) }
  }

  /// Has a session be stored no longer.
  func forget(_ session: ItemKey) { held.forget(session) }

  private func newSequence(for request: GenerationRequest) throws -> HeldSequence {
    let sequence = try engine.makeSequence(request.plan, slotType: slotType)
    // Tokens that melt together cannot be taken back: such a memory is read anew instead.
    try? sequence.keepUndoLog(depth: Self.undoDepth)
    return HeldSequence(sequence: sequence, owner: request.owner, plan: request.plan)
  }

  private func answer(_ sequence: Sequence, _ logits: UnsafeMutableBufferPointer<Float>) {
    guard let job = running.first(where: { $0.sequence === sequence }) else {
      return assertionFailure("logits that nobody asked for")
    }
    do {
      if try job.accept(logits) { finish(job) }
    } catch {
      remove(job)
      fail(job, error)
    }
  }

  /// Ends all requests with an error.
  func failAll(_ error: RequestError) {
    let jobs = waiting + running
    waiting = []
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
    if let sequence = job.end(tokenizer: tokenizer) { held.hold(sequence) }
    status.noteEnd(isCancelled: job.result.finish == .cancelled)
    job.channel.send(.ended(job.result), choice: job.choice)
  }

  private func fail(_ job: GenerationJob, _ error: any Error) {
    status.noteFailure()
    let failure = error as? RequestError ?? .failed("\(error)")
    job.channel.send(.failed(failure), choice: job.choice)
  }
}
