package import KVCaches
import Tokenizers

/// One sequence: tokens go in, the cache remembers what its plan says, and tokens come out.
///
/// Input may be far longer than the model's context: it is fed in chunks as it arrives. Not thread safe.
package final class TokenStream {
  package let engine: InferenceEngine
  package let cache: KVCache
  /// What the sequence has seen.
  package private(set) var log: TokenLog
  /// Tokens for the model, of which the first `fed` went through it; the last one of a prompt waits for its logits.
  private var pending: [Int32] = []
  private var fed = 0
  /// Whether tokens came from outside since the last logits.
  private var isInPrompt = false

  package init(
    engine: InferenceEngine, plan: KVCache.Plan, slotType: KVCache.SlotType = .float16, log: TokenLog = TokenLog()
  ) throws(KVCacheError) {
    self.engine = engine
    self.log = log
    cache = try engine.makeCache(plan, slotType: slotType)
  }

  /// Tokens appended so far, fed or waiting.
  package var count: Int { log.total }

  /// Tokens that have not gone through the model yet.
  package var waitingTokens: Int { pending.count - fed }

  /// Takes in tokens of a prompt, which wait for the next step; the prompt ends where logits are asked for.
  package func append(_ tokens: [Int32]) {
    isInPrompt = isInPrompt || !tokens.isEmpty
    for token in tokens { log.append(token) }
    pending += tokens
  }

  /// Has the sequence note what its tokens overwrite, so that the newest ones can be taken back.
  ///
  /// - Throws: `KVCacheError` where its cache cannot.
  package func keepUndoLog(depth: Int) throws(KVCacheError) { try cache.keepUndoLog(depth: depth) }

  /// Takes back the newest tokens; those that went through the model in one step with older ones are read again, which
  /// puts them at the end of that much shorter step.
  ///
  /// - Precondition: the sequence has so many tokens.
  /// - Throws: `KVCacheError` where the cache cannot take back so many; nothing has changed then.
  package func rollBack(tokens: Int) throws(KVCacheError) {
    precondition(tokens >= 0 && tokens <= count, "tokens that never came")
    let waiting = min(tokens, waitingTokens)
    let taken = tokens > waiting ? try cache.rollBack(tokens: tokens - waiting) : 0
    let again = (0..<max(0, taken - (tokens - waiting))).map { log[back: tokens + $0] }
    pending = again.reversed() + (taken == 0 ? pending[fed...].dropLast(waiting) : [])
    fed = 0
    log.removeLast(tokens)
  }

  /// Takes in one token of the answer.
  package func append(_ token: Int32) {
    log.append(token)
    pending.append(token)
  }

  /// Whether the cache's first prompt waits until all of it is known.
  private var collectsPrompt: Bool {
    isInPrompt && cache.tokenCount == 0 && cache.plan.prompt?.order == .layerMajor
  }

  /// Brings all full chunks that wait through the model, so that an endless input does not pile up; nothing where a
  /// prompt goes through the model layer by layer.
  package func feedFullChunks(afterChunk: () -> Void = {}) {
    guard !collectsPrompt else { return }
    while waitingTokens > engine.chunk {
      feedChunk()
      afterChunk()
    }
    pending.removeFirst(fed)
    fed = 0
  }

  /// The logits for the token after all that was appended, valid until the next call.
  ///
  /// - Parameter afterChunk: asked between the chunks of what waits; false leaves the rest for another call.
  /// - Returns: nil where `afterChunk` said no.
  /// - Precondition: at least one token waits.
  package func logits(afterChunk: () -> Bool = { true }) -> UnsafeMutableBufferPointer<Float>? {
    precondition(waitingTokens > 0, "logits need a token they follow")
    if collectsPrompt { return logitsOfPrompt(while: afterChunk) }
    while true {
      let rows = feedChunk()
      if waitingTokens == 0 {
        pending.removeAll(keepingCapacity: pending.count <= engine.chunk)
        fed = 0
        // The step is done with the cache: the first token of an answer sees all of the prompt.
        if isInPrompt { engine.finishPrompt(of: cache) }
        isInPrompt = false
        return engine.logits(row: rows - 1)
      }
      guard afterChunk() else { return nil }
    }
  }

  /// The logits after a prompt of which nothing was fed yet.
  private func logitsOfPrompt(while shouldContinue: () -> Bool) -> UnsafeMutableBufferPointer<Float>? {
    var rows = 0
    fed = engine.readPrompt(
      pending, cache: cache, afterChunk: { range, _ in rows = range.count }, while: shouldContinue)
    guard waitingTokens == 0 else { return nil }
    pending.removeAll()
    (fed, isInPrompt) = (0, false)
    return engine.logits(row: rows - 1)
  }

  /// Feeds as many waiting tokens as one step and the cache admit, and returns how many.
  @discardableResult
  private func feedChunk() -> Int {
    let count = cache.admissibleChunk(min(engine.chunk, waitingTokens))
    pending.withUnsafeBufferPointer {
      engine.step(UnsafeBufferPointer(rebasing: $0[fed..<fed + count]), cache: cache)
    }
    fed += count
    return count
  }
}
