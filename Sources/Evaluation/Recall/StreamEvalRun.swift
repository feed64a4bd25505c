package import Engine
package import KVCaches
package import Tokenizers

/// StreamEval under one cache: an endless stream, nothing is reset, and accuracy is counted by windows of the stream.
///
/// An answer is exact where each of its tokens is the likeliest after those before it, and no digit is the likeliest after
/// the last: that is when greedy decoding gives the right number. A digit counts as right by its own token, whatever the
/// model made of the digits before it, since the stream goes on with the right answer.
package final class StreamEvalRun {
  package private(set) var result: RecallResult

  private let grid: RecallGrid
  private let linesBack: [Int]
  private let sequence: GreedySequence
  private let tokenizer: Tokenizer

  /// - Parameters:
  ///   - lengths: where windows of the stream end, in tokens; the stream ends with the last one
  ///   - name: how results call the cache
  ///   - memory: the bytes that a cache may grow to
  package init(
    engine: InferenceEngine, tokenizer: Tokenizer, plan: KVCache.Plan, name: String, lengths: [Int], linesBack: [Int],
    slotType: KVCache.SlotType = .float16, memory: UInt64 = .max
  ) throws(KVCacheError) {
    grid = RecallGrid(lengths: lengths.sorted(), places: .linesBack(linesBack))
    self.linesBack = linesBack
    self.tokenizer = tokenizer
    result = RecallResult(cache: name)
    sequence = try GreedySequence(engine: engine, plan: plan, name: name, slotType: slotType, memory: memory)
  }

  /// Reads one stream to its end, from an empty cache.
  ///
  /// - Parameters:
  ///   - place: which of the distances it has
  ///   - afterChunk: called with the tokens of each chunk, and the bytes that the cache holds
  /// - Throws: `RecallError` where the cache would not fit into memory or the stream is shorter than to its first query,
  ///   `LanguageModelError` where the model gives no finite logit.
  package func read(
    place: Int, seed: UInt64, sample: Int, afterChunk: (_ tokens: Int, _ cacheBytes: Int) -> Void = { _, _ in }
  ) throws {
    let length = grid.lengths.last ?? 0
    try sequence.check(tokens: length, origin: "a stream")
    sequence.reset()
    var stream = StreamEval(tokenizer: tokenizer, linesBack: linesBack[place], seed: seed, sample: sample)
    var position = 0
    var queries = 0
    while true {
      let part = stream.next()
      guard position + part.tokens.count + part.answer.count <= length else { break }
      sequence.read(prompt: part.tokens, afterChunk: afterChunk)
      var score = RecallScore()
      let choices = [try sequence.likeliest()] + (try sequence.choices(reading: part.answer))
      let (exact, digits) = Self.judge(part.answer, choices: choices, tokenizer: tokenizer)
      score.add(exact: exact, digitShare: digits)
      position += part.tokens.count + part.answer.count
      let window = grid.lengths.firstIndex { $0 >= position } ?? grid.lengths.count - 1
      result.add(score, at: RecallGrid.Point(length: window, place: place))
      queries += 1
    }
    guard queries > 0 else { throw RecallError.noQuery(linesBack: linesBack[place], length: length) }
    result.cacheBytesPeak = sequence.cacheBytesPeak
  }

  /// Compares an answer, token by token, with the likeliest tokens at its places and at the one after it.
  package static func judge(
    _ answer: [Int32], choices: [Int32], tokenizer: Tokenizer
  ) -> (exact: Bool, digitShare: Double) {
    precondition(choices.count == answer.count + 1, "a choice for every token and one for what follows")
    var (right, digits) = (0, 0)
    for (token, choice) in zip(answer, choices) {
      let count = tokenizer.decode([token]).count { $0.isNumber }
      digits += count
      if token == choice { right += count }
    }
    let goesOn = tokenizer.decode(choices.suffix(1)).first.map { ("0"..."9").contains($0) } ?? false
    return (answer.elementsEqual(choices.dropLast()) && !goesOn, Double(right) / Double(max(digits, 1)))
  }
}
