package import Engine
package import KVCaches
import Kernels
package import SessionStore

/// A trace of conversations on a real engine, one turn after another, with sessions that are kept or read again.
///
/// Questions and answers are random tokens. The store hears of the next turns as it would from a server's queue.
package struct SessionReplay {
  package struct Options: Sendable {
    package var plan = KVCache.Plan.full
    package var slotType = KVCache.SlotType.float16
    /// Bytes of the tiers; nil reads everything again.
    package var tiers: (memory: Int, disk: Int)?
    /// Turns of which the store hears before; 0 leaves it to those used last.
    package var lookAhead = 8
    package var seed: UInt64 = 1

    package init() {}
  }

  package struct Result: Sendable {
    package var turns = 0
    /// Turns that go on with something, and those of them whose session was there, and in memory.
    package var (returning, hits, memoryHits) = (0, 0, 0)
    /// Seconds to first tokens, with those of loading.
    package var firstTokenSeconds: [Double] = []
    /// Tokens of all prompts, and those of them that were computed.
    package var (promptTokens, computedTokens) = (0, 0)
    package var statistics: StoreStatistics?

    package var meanFirstToken: Double { firstTokenSeconds.reduce(0, +) / Double(max(1, firstTokenSeconds.count)) }
    package var hitRate: Double { Double(hits) / Double(max(1, returning)) }
    package var prefillRate: Double { Double(promptTokens) / max(1e-9, firstTokenSeconds.reduce(0, +)) }
  }

  private struct Step {
    let session: Int
    let turn: Int
    let moment: Double
  }

  private let loaded: LanguageModel.Loaded
  private let options: Options
  private let scheduler: Scheduler
  private let store: SessionStore?
  private var history: [Int: [Int32]] = [:]
  private var result = Result()

  /// - Parameters:
  ///   - path: the file of a store, which is made
  ///   - progress: called after each turn with how many there were
  package static func run(
    _ loaded: LanguageModel.Loaded, _ trace: ConversationTrace, _ options: Options, path: String,
    progress: (Int) -> Void = { _ in }
  ) throws -> Result {
    var replay = try SessionReplay(loaded, options, path: path)
    let steps = replay.steps(of: trace)
    for (index, step) in steps.enumerated() {
      let next = steps[(index + 1)...].prefix(options.lookAhead).map { Self.key($0.session) }
      if options.lookAhead > 0 { replay.store?.expect(Array(next), running: [Self.key(step.session)]) }
      try replay.take(step, of: trace.conversations[step.session].turns[step.turn])
      progress(index + 1)
    }
    replay.store?.flush()
    replay.result.statistics = replay.store?.statistics
    return replay.result
  }

  private init(_ loaded: LanguageModel.Loaded, _ options: Options, path: String) throws {
    (self.loaded, self.options, scheduler) = (loaded, options, Scheduler(engine: loaded.engine))
    var limits = SessionStore.Options()
    limits.memoryBytes = options.tiers?.memory
    limits.diskBytes = options.tiers?.disk ?? 0
    store = options.tiers == nil ? nil : try SessionStore(path: path, options: limits)
  }

  private static func key(_ session: Int) -> ItemKey { ItemKey(name: "\(session)") }

  /// Turns in the order in which users ask, as if answers took no time.
  private func steps(of trace: ConversationTrace) -> [Step] {
    var steps: [Step] = []
    for (session, conversation) in trace.conversations.enumerated() {
      var moment = conversation.arrival
      for (turn, content) in conversation.turns.enumerated() {
        if turn > 0 { moment += content.thinkSeconds }
        steps.append(Step(session: session, turn: turn, moment: moment))
      }
    }
    return steps.sorted { ($0.moment, $0.session) < ($1.moment, $1.session) }
  }

  /// Random tokens that are the same for every run.
  private func tokens(_ count: Int, _ step: Step, isAnswer: Bool) -> [Int32] {
    var source = SplitMix64(
      seed: options.seed ^ SplitMix64.mixed(UInt64(step.session << 20 | step.turn << 1 | (isAnswer ? 1 : 0))))
    let vocabulary = UInt64(loaded.engine.vocabularySize)
    return (0..<count).map { _ in Int32(source.next() % vocabulary) }
  }

  private mutating func take(_ step: Step, of turn: ConversationTrace.Turn) throws {
    let past = history[step.session] ?? []
    let question = tokens(turn.question, step, isAnswer: false)
    let sequence = try loaded.engine.makeSequence(options.plan, slotType: options.slotType)
    let checkpointer = store.map { SessionCheckpointer($0, Self.key(step.session), model: loaded.fingerprint) }
    let start = ContinuousClock.now
    var new = past + question
    if step.turn > 0 {
      result.returning += 1
      if let checkpointer {
        let load = checkpointer.beginLoad(
          into: sequence, vocabulary: loaded.engine.vocabularySize, terms: LoadTerms())
        load.wait()
        if let tier = load.finish().resumption.tier {
          result.hits += 1
          result.memoryHits += tier == "memory" ? 1 : 0
          new = question
        }
      }
    }
    sequence.append(new)
    result.computedTokens += sequence.waitingTokens
    _ = scheduler.logits(of: sequence)
    result.firstTokenSeconds.append((.now - start) / .seconds(1))
    scheduler.remove(sequence)
    result.turns += 1
    result.promptTokens += past.count + question.count
    let answer = tokens(turn.answer, step, isAnswer: true)
    history[step.session] = past + question + answer
    guard let checkpointer else { return }
    sequence.append(answer)
    _ = scheduler.logits(of: sequence)
    scheduler.remove(sequence)
    try checkpointer.save(sequence)
  }
}
