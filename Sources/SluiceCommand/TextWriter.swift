import Engine
import KVCaches
import Models
import Tokenizers

/// Feeds text into a sequence and writes what the model says, with progress beside it.
struct TextWriter {
  let stream: TokenStream
  let loaded: LanguageModel.Loaded
  private var progress = ProgressLine.standardError()
  private var hasWarned = false

  init(_ loaded: LanguageModel.Loaded, plan: KVCache.Plan, slotType: KVCache.SlotType) throws {
    self.loaded = loaded
    stream = try TokenStream(engine: loaded.engine, plan: plan, slotType: slotType)
    if loaded.tokenizer.addsBeginOfSequence, let begin = loaded.tokenizer.beginOfSequence { stream.append([begin]) }
  }

  /// Takes in text of any length.
  mutating func read(_ source: TextSource, parsesSpecialTokens: Bool) throws {
    var encoder = IncrementalEncoder(loaded.tokenizer, special: parsesSpecialTokens ? .parse : .plainText)
    try source.forEachPiece { bytes in
      read(encoder.append(bytes))
      return true
    }
    read(encoder.finish())
  }

  mutating func read(_ tokens: [Int32]) {
    stream.append(tokens)
    stream.feedFullChunks { [stream] in
      progress.update(
        StreamStatus(label: "read", tokens: Int(stream.cache.tokenCount), cacheBytes: stream.cache.bytes))
    }
    warnPastTrainedLength()
  }

  /// Writes until the model, a stop string or the limit ends the text.
  mutating func write(
    sampling: SamplingOptions, stopStrings: [String], limit: Int?, to output: (String) -> Void
  ) throws -> Generation.Finish {
    progress.clear()
    var generation = Generation(
      stream, tokenizer: loaded.tokenizer, sampling: sampling, stopStrings: stopStrings, limit: limit)
    while let text = try generation.next() {
      output(text)
      warnPastTrainedLength()
    }
    return generation.finish ?? .cancelled
  }

  /// One line, once, when a cache holds more tokens than the model was trained for.
  private mutating func warnPastTrainedLength() {
    let trained = loaded.engine.model.configuration.trainedLength
    guard !hasWarned, (stream.cache.plan.capacity ?? .max) > trained, stream.count > trained else { return }
    hasWarned = true
    progress.clear()
    StandardError.write(
      "sluice: past the \(HumanReadable.count(trained)) tokens this model was trained for, a cache that holds "
        + "more breaks down; try --cache streaming-llm:4+1020\n")
  }
}
