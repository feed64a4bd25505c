import Engine
import KVCaches

/// One sequence under one cache that reads prompts and says the likeliest tokens.
final class GreedySequence {
  let engine: InferenceEngine
  private let cache: KVCache
  private let name: String
  private let memory: UInt64
  /// The row of the engine's last step that holds the last token.
  private var lastRow = 0
  private(set) var cacheBytesPeak = 0

  init(
    engine: InferenceEngine, plan: KVCache.Plan, name: String, slotType: KVCache.SlotType, memory: UInt64
  ) throws(KVCacheError) {
    self.engine = engine
    self.name = name
    self.memory = memory
    cache = try engine.makeCache(plan, slotType: slotType)
  }

  func reset() { cache.reset() }

  /// Fails where so many tokens are more than the cache may grow to on this machine.
  ///
  /// - Parameter isPrompt: whether `readPrompt` takes most of them in, and not `read`
  func check(tokens: Int, origin: String, isPrompt: Bool = false) throws(RecallError) {
    let bytes =
      isPrompt
      ? LayerwisePrompt.peakBytes(plan: cache.plan, shape: cache.shape, slotType: cache.slotType, tokens: tokens)
      : KVCache.bytes(plan: cache.plan, shape: cache.shape, slotType: cache.slotType, tokens: tokens)
    guard UInt64(bytes) < memory else {
      throw .tooLarge(origin, tokens: tokens, cache: name, bytes: bytes, memory: memory)
    }
  }

  /// Takes in tokens, chunk by chunk.
  func read(_ tokens: [Int32], afterChunk: (_ tokens: Int, _ cacheBytes: Int) -> Void = { _, _ in }) {
    engine.feed(tokens, cache: cache) { range in
      noteChunk(range)
      afterChunk(range.count, cache.bytes)
      return true
    }
  }

  /// Takes in a prompt, chunk by chunk, and lets the cache do what it does at its end.
  func readPrompt(_ tokens: [Int32], afterChunk: (_ tokens: Int, _ cacheBytes: Int) -> Void) {
    engine.readPrompt(tokens, cache: cache) { range, bytes in
      lastRow = range.count - 1
      cacheBytesPeak = max(cacheBytesPeak, bytes)
      afterChunk(range.count, bytes)
    }
    cacheBytesPeak = max(cacheBytesPeak, cache.bytes)
  }

  /// Takes in tokens and gives the likeliest one after each of them.
  func choices(reading tokens: [Int32]) throws(LanguageModelError) -> [Int32] {
    var choices: [Int32?] = []
    engine.feed(tokens, cache: cache) { range in
      noteChunk(range)
      for row in 0..<range.count { choices.append(Sampler.largest(engine.logits(row: row)).map { Int32($0) }) }
      return true
    }
    let finite = choices.compactMap { $0 }
    guard finite.count == tokens.count else { throw .noFiniteLogit }
    return finite
  }

  /// Lets the cache do what it does between a prompt and its answer.
  func finishPrompt() {
    engine.finishPrompt(of: cache)
    cacheBytesPeak = max(cacheBytesPeak, cache.bytes)
  }

  /// The likeliest token after the last one.
  func likeliest() throws(LanguageModelError) -> Int32 {
    guard let token = Sampler.largest(engine.logits(row: lastRow)) else { throw .noFiniteLogit }
    return Int32(token)
  }

  private func noteChunk(_ range: Range<Int>) {
    lastRow = range.count - 1
    cacheBytesPeak = max(cacheBytesPeak, cache.bytes)
  }
}
