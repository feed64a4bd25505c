import Engine
import KVCaches
import Models
import SessionStore
import Tokenizers

/// Feeds text into a sequence and writes what the model says, with progress beside it.
struct TextWriter {
  let sequence: Sequence
  let loaded: LanguageModel.Loaded
  private let scheduler: Scheduler
  private var progress = ProgressLine.standardError()
  private var hasWarned = false
  /// Where the stream is kept for the next run.
  private var checkpointer: SessionCheckpointer?
  private var saveEvery = Duration.zero
  private var lastSave = ContinuousClock.now

  init(
    _ loaded: LanguageModel.Loaded, plan: KVCache.Plan, slotType: KVCache.SlotType, speculation: Speculation = .off
  ) throws {
    self.loaded = loaded
    sequence = try loaded.engine.makeSequence(plan, slotType: slotType)
    try sequence.speculate(speculation, costs: loaded.engine.guessCosts)
    scheduler = Scheduler(engine: loaded.engine)
    scheduler.add(sequence)
    appendBegin()
  }

  private func appendBegin() {
    if loaded.tokenizer.addsBeginOfSequence, let begin = loaded.tokenizer.beginOfSequence { sequence.append([begin]) }
  }

  /// Goes on with a stored stream, or begins it, and keeps it from now on.
  ///
  /// - Throws: `CommandError` where it belongs to another model, an error of one line where it is a conversation.
  mutating func resume(_ name: String, in store: SessionStore, saveEvery: Duration) throws {
    let checkpointer = SessionCheckpointer(store, ItemKey(name: name), model: loaded.fingerprint)
    sequence.restart()
    let resumption = try checkpointer.resume(sequence, vocabulary: loaded.engine.vocabularySize)
    if case .otherModel = resumption.miss, let miss = resumption.miss {
      throw CommandError(
        "the session '\(name)' cannot go on: \(miss); take its own model, another name, or 'sluice sessions rm \(name)'"
      )
    }
    if sequence.count == 0 { appendBegin() }
    StandardError.write("sluice: \(Self.report(name, resumption, sequence))\n")
    (self.checkpointer, self.saveEvery, lastSave) = (checkpointer, saveEvery, .now)
  }

  private static func report(_ name: String, _ resumption: Resumption, _ sequence: Sequence) -> String {
    if let tier = resumption.tier {
      let taken = "session '\(name)' goes on after \(HumanReadable.tokens(resumption.tokens)), taken up from \(tier)"
      guard let miss = resumption.miss else { return taken }
      return taken + "; its newest \(HumanReadable.tokens(sequence.waitingTokens)) are read again: \(miss)"
    }
    let miss = resumption.miss.map { "\($0)" } ?? ""
    if resumption.miss == .neverStored { return "session '\(name)' begins" }
    guard sequence.waitingTokens > 1 else { return "session '\(name)' begins anew: \(miss)" }
    return "session '\(name)': \(miss), so its newest \(HumanReadable.tokens(sequence.waitingTokens)) are read again"
  }

  /// Saves the stream where its time has come and the save before is written.
  private mutating func saveByItself() throws {
    guard let checkpointer, ContinuousClock.now - lastSave >= saveEvery, !checkpointer.isBusy, !sequence.isLost else {
      return
    }
    if let failure = checkpointer.failure { StandardError.warn(["\(failure); it is tried again"]) }
    do { try checkpointer.save(sequence) } catch {
      // A worker that is lost meanwhile is the next step's business.
      guard sequence.isLost else { throw error }
    }
    lastSave = .now
  }

  /// Saves the stream for the last time, and waits for it.
  ///
  /// - Throws: `LanguageModelError` where it cannot be saved.
  func finish() throws {
    guard let checkpointer else { return }
    do { try checkpointer.save(sequence) } catch {
      guard sequence.isLost else { throw error }
      // A worker is lost: what was saved is taken up, and what came since is read or waits.
      scheduler.run()
      try checkpointer.save(sequence)
    }
    do {
      try checkpointer.finish()
    } catch {
      // What failed may have been an earlier save; now everything is written.
      try checkpointer.save(sequence)
      try checkpointer.finish()
    }
  }

  /// Takes in text of any length.
  mutating func read(_ source: TextSource, parsesSpecialTokens: Bool) throws {
    var encoder = IncrementalEncoder(loaded.tokenizer, special: parsesSpecialTokens ? .parse : .plainText)
    try source.forEachPiece { bytes in
      read(withoutSecondBegin(encoder.append(bytes)))
      try saveByItself()
      return true
    }
    read(withoutSecondBegin(encoder.finish()))
  }

  /// Leaves out a begin-of-sequence token that stands at the start of the text where one has been added already.
  private func withoutSecondBegin(_ tokens: [Int32]) -> [Int32] {
    guard sequence.count == 1, loaded.tokenizer.addsBeginOfSequence, let begin = loaded.tokenizer.beginOfSequence,
      tokens.first == begin
    else { return tokens }
    StandardError.warn(["the text begins with the token that begins every text; it is read once"])
    return Array(tokens.dropFirst())
  }

  /// Takes in what a chat template writes, with the begin-of-sequence token where the model has one.
  mutating func read(template tokens: [Int32]) {
    let hasBegun = sequence.count == 1 && tokens.first == loaded.tokenizer.beginOfSequence
    read(hasBegun && loaded.tokenizer.addsBeginOfSequence ? Array(tokens.dropFirst()) : tokens)
  }

  mutating func read(_ tokens: [Int32]) {
    sequence.append(tokens)
    // Full chunks go through the model at once, so that an endless text does not pile up.
    while scheduler.step() {
      let status = StreamStatus(
        label: "read", tokens: Int(sequence.memory.tokenCount), cacheBytes: sequence.bytes)
      progress.update(status)
    }
    warnPastTrainedLength()
  }

  /// Writes until the model, a stop string or the limit ends the text.
  mutating func write(
    sampling: SamplingOptions, stopStrings: [String], limit: Int?, to output: (String) -> Void
  ) throws -> Generation.Finish {
    progress.clear()
    var generation = Generation(
      sequence, tokenizer: loaded.tokenizer, sampling: sampling, stopStrings: stopStrings, limit: limit)
    if checkpointer != nil { Interruption.watchOnce() }
    while let text = try scheduler.next(of: &generation, while: { !Interruption.hasCome }) {
      output(text)
      try saveByItself()
      warnPastTrainedLength()
    }
    return generation.finish ?? .cancelled
  }

  /// One line, once, when a cache holds more tokens than the model was trained for.
  private mutating func warnPastTrainedLength() {
    let trained = loaded.engine.model.configuration.trainedLength
    guard !hasWarned, (sequence.memory.plan.capacity ?? .max) > trained, sequence.count > trained else { return }
    hasWarned = true
    progress.clear()
    StandardError.write(
      "sluice: past the \(HumanReadable.count(trained)) tokens this model was trained for, a cache that holds "
        + "more breaks down; try --cache streaming-llm:4+1020\n")
  }
}
