import Engine
import Evaluation
import Foundation
import KVCaches

/// Runs all cases or streams under one cache, with progress beside it.
struct RecallMeasurement {
  let loaded: LanguageModel.Loaded
  let plan: KVCache.Plan
  let name: String
  let slotType: KVCache.SlotType
  /// Cases between two lines of progress; nil prints none.
  let progressEvery: Int?

  private var memory: UInt64 { ProcessInfo.processInfo.physicalMemory }

  func run(_ cases: RecallCases, answerTokens: Int) throws -> RecallResult {
    let run = try RecallRun(
      engine: loaded.engine, tokenizer: loaded.tokenizer, plan: plan, name: name, slotType: slotType,
      answerTokens: answerTokens, memory: memory)
    return try measure(cases.count, of: "case", totalTokens: cases.totalTokens) { index, afterChunk in
      try run.answer(cases(index), afterChunk: afterChunk)
      return run.result
    }
  }

  func run(streams sweep: SweepOptions) throws -> RecallResult {
    guard case .linesBack(let linesBack) = sweep.grid.places else { return RecallResult(cache: name) }
    let run = try StreamEvalRun(
      engine: loaded.engine, tokenizer: loaded.tokenizer, plan: plan, name: name, lengths: sweep.grid.lengths,
      linesBack: linesBack, slotType: slotType, memory: memory)
    let streams = linesBack.count * sweep.streams
    let tokens = streams * (sweep.grid.lengths.last ?? 0)
    return try measure(streams, of: "stream", totalTokens: tokens) { index, afterChunk in
      let (place, sample) = index.quotientAndRemainder(dividingBy: sweep.streams)
      try run.read(place: place, seed: sweep.streamSeed, sample: sample, afterChunk: afterChunk)
      return run.result
    }
  }

  private func measure(
    _ count: Int, of what: String, totalTokens: Int,
    _ body: (_ index: Int, _ afterChunk: (_ tokens: Int, _ cacheBytes: Int) -> Void) throws -> RecallResult
  ) throws -> RecallResult {
    var progress = ProgressLine.standardError()
    var result = RecallResult(cache: name)
    var tokens = 0
    let status = { (done: Int, bytes: Int) in
      StreamStatus(
        label: "\(name)  \(what) \(done) of \(count)", tokens: tokens, totalTokens: max(tokens, totalTokens),
        cacheBytes: bytes)
    }
    let clock = ContinuousClock()
    var lineTime = clock.now
    for index in 0..<count {
      result = try body(index) { added, bytes in
        tokens += added
        progress.update(status(index + 1, bytes))
      }
      guard let every = progressEvery, (index + 1) % every == 0 else { continue }
      progress.clear()
      let now = clock.now
      let seconds = (now - lineTime) / .seconds(1) / Double(every)
      lineTime = now
      StandardError.write(
        "\(name): \(index + 1) of \(count), exact match \(HumanReadable.decimal(result.score.exactMatch, places: 3)), "
          + "digits \(HumanReadable.decimal(result.score.digitAccuracy, places: 3)), "
          + "\(HumanReadable.decimal(seconds, places: 2)) s a \(what), cache \(result.cacheBytesPeak) bytes\n")
    }
    progress.finish(
      StreamStatus(label: "\(name)  \(count) of \(count)", tokens: tokens, cacheBytes: result.cacheBytesPeak))
    return result
  }
}
