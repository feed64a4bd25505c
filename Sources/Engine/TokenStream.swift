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
  /// Tokens that wait for the next step; the last one of a prompt waits for its logits.
  private var pending: [Int32] = []

  package init(
    engine: InferenceEngine, plan: KVCache.Plan, slotType: KVCache.SlotType = .float16, log: TokenLog = TokenLog()
  ) throws(KVCacheError) {
    self.engine = engine
    self.log = log
    cache = try engine.makeCache(plan, slotType: slotType)
  }

  /// Tokens appended so far, fed or waiting.
  package var count: Int { log.total }

  /// Takes in tokens, which wait for the next step.
  package func append(_ tokens: [Int32]) {
    for token in tokens { log.append(token) }
    pending += tokens
  }

  /// Brings all full chunks that wait through the model, so that an endless input does not pile up.
  package func feedFullChunks(afterChunk: () -> Void = {}) {
    while pending.count > engine.chunk {
      feed(Array(pending[..<engine.chunk]))
      afterChunk()
    }
  }

  /// The logits for the token after all that was appended, valid until the next call.
  ///
  /// - Precondition: at least one token was appended since the last call.
  package func logits(afterChunk: () -> Bool = { true }) -> UnsafeMutableBufferPointer<Float>? {
    precondition(!pending.isEmpty, "logits need a token they follow")
    var lastRow = 0
    while !pending.isEmpty {
      lastRow = feed(Array(pending.prefix(engine.chunk))) - 1
      guard pending.isEmpty || afterChunk() else { return nil }
    }
    return engine.logits(row: lastRow)
  }

  /// Feeds a prefix of the waiting tokens, as much as the cache admits at once.
  @discardableResult
  private func feed(_ tokens: [Int32]) -> Int {
    let count = cache.admissibleChunk(tokens.count)
    tokens.withUnsafeBufferPointer { engine.step(UnsafeBufferPointer(rebasing: $0[..<count]), cache: cache) }
    pending.removeFirst(count)
    return count
  }
}
