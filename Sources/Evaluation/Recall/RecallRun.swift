package import Engine
package import KVCaches
package import Tokenizers

/// Whether a model finds numbers in its prompts again: each prompt is completed greedily, and the first number counts.
///
/// Every case starts with an empty cache, and ends as soon as its first number is complete (and its first five digits are
/// there, where they count), the model ends its text, or the answer has as many tokens as it may.
package final class RecallRun {
  /// What was said to a prompt.
  package struct Answer: Sendable, Hashable {
    package var text: String
    /// The digits of the first number; nil where there is none.
    package var number: String?
    /// The digits that are compared with the expected ones place by place; nil where there are none.
    package var digits: String?
    package var tokens: Int
  }

  package private(set) var result: RecallResult

  private let sequence: GreedySequence
  private let tokenizer: Tokenizer
  private let answerTokens: Int

  /// - Parameters:
  ///   - name: how results call the cache
  ///   - answerTokens: the most tokens of an answer
  ///   - memory: the bytes that a cache may grow to
  package init(
    engine: InferenceEngine, tokenizer: Tokenizer, plan: KVCache.Plan, name: String,
    slotType: KVCache.SlotType = .float16, answerTokens: Int = 32, memory: UInt64 = .max
  ) throws(KVCacheError) {
    precondition(answerTokens > 0)
    self.tokenizer = tokenizer
    self.answerTokens = answerTokens
    result = RecallResult(cache: name)
    sequence = try GreedySequence(engine: engine, plan: plan, name: name, slotType: slotType, memory: memory)
  }

  /// Answers a case and counts it.
  ///
  /// - Parameter afterChunk: called with the tokens of each chunk of the prompt, and the bytes that the cache holds
  /// - Throws: `RecallError` where the cache would not fit into memory, `LanguageModelError` where the model gives no
  ///   finite logit.
  @discardableResult
  package func answer(
    _ recallCase: RecallCase, afterChunk: (_ tokens: Int, _ cacheBytes: Int) -> Void = { _, _ in }
  ) throws -> Answer {
    let tokens = recallCase.prompt.count + answerTokens
    try sequence.check(tokens: tokens, origin: recallCase.origin, isPrompt: true)
    sequence.reset()
    sequence.read(prompt: recallCase.prompt, afterChunk: afterChunk)
    let answer = try decode(recallCase.digits)
    var score = RecallScore()
    score.add(answer: answer.number, digits: answer.digits, expected: recallCase.expected)
    result.add(score, at: recallCase.point)
    result.cacheBytesPeak = sequence.cacheBytesPeak
    return answer
  }

  private func decode(_ digits: RecallCase.Digits) throws(LanguageModelError) -> Answer {
    var decoder = IncrementalDecoder(tokenizer)
    var answer = Answer(text: "", number: nil, digits: nil, tokens: 0)
    var number = FirstNumber()
    var firstFive = FirstDigits(5)
    while true {
      let token = try sequence.likeliest()
      if tokenizer.endOfGeneration.contains(token) { break }
      let text = decoder.append(token)
      answer.text += text
      answer.tokens += 1
      number.append(text)
      firstFive.append(text)
      let isComplete = number.isComplete && (digits == .firstNumber || firstFive.isComplete)
      if isComplete || answer.tokens == answerTokens { break }
      sequence.read(answer: token)
    }
    answer.number = number.digits
    answer.digits = digits == .firstNumber ? number.digits : firstFive.digits
    return answer
  }
}
