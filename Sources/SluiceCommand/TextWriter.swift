import Engine
import KVCaches
import Models
import Tokenizers

/// Feeds text into a sequence and writes what the model says, with progress beside it.
struct TextWriter {
  let sequence: Sequence
  let loaded: LanguageModel.Loaded
  private let scheduler: Scheduler
  private var progress = ProgressLine.standardError()
  private var hasWarned = false

  init(
    _ loaded: LanguageModel.Loaded, plan: KVCache.Plan, slotType: KVCache.SlotType, speculation: Speculation = .off
  ) throws {
    self.loaded = loaded
    sequence = try loaded.engine.makeSequence(plan, slotType: slotType)
    try sequence.speculate(speculation, costs: loaded.engine.guessCosts)
    scheduler = Scheduler(engine: loaded.engine)
    scheduler.add(sequence)
    if loaded.tokenizer.addsBeginOfSequence, let begin = loaded.tokenizer.beginOfSequence { sequence.append([begin]) }
  }

  /// Takes in text of any length.
  mutating func read(_ source: TextSource, parsesSpecialTokens: Bool) throws {
    var encoder = IncrementalEncoder(loaded.tokenizer, special: parsesSpecialTokens ? .parse : .plainText)
    try source.forEachPiece { bytes in
      read(withoutSecondBegin(encoder.append(bytes)))
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
      progress.update(
        StreamStatus(label: "read", tokens: Int(sequence.memory.tokenCount), cacheBytes: sequence.bytes))
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
    while let text = try scheduler.next(of: &generation) {
      output(text)
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
