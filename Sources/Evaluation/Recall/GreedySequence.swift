import Engine
import KVCaches

/// One sequence under one cache that reads prompts and says the likeliest tokens.
final class GreedySequence {
  private let engine: InferenceEngine
  private let scheduler: Scheduler
  private let cache: KVCache
  private var sequence: Sequence
  private let name: String
  private let memory: UInt64
  /// The likeliest token after the last one; nil where no logit is finite.
  private var next: Int?
  private(set) var cacheBytesPeak = 0

  init(
    engine: InferenceEngine, plan: KVCache.Plan, name: String, slotType: KVCache.SlotType, memory: UInt64
  ) throws(KVCacheError) {
    self.engine = engine
    self.name = name
    self.memory = memory
    scheduler = Scheduler(engine: engine)
    cache = try engine.makeCache(plan, slotType: slotType)
    sequence = Sequence(memory: cache)
    scheduler.add(sequence)
  }

  func reset() {
    cache.reset()
    scheduler.remove(sequence)
    sequence = Sequence(memory: cache)
    scheduler.add(sequence)
  }

  /// Fails where so many tokens are more than the cache may grow to on this machine.
  ///
  /// - Parameter isPrompt: whether most of them come as one prompt
  func check(tokens: Int, origin: String, isPrompt: Bool = false) throws(RecallError) {
    let bytes =
      isPrompt
      ? LayerwisePrompt.peakBytes(plan: cache.plan, layers: cache.attention, slotType: cache.slotType, tokens: tokens)
      : KVCache.bytes(plan: cache.plan, layers: cache.attention, slotType: cache.slotType, tokens: tokens)
    guard UInt64(bytes) < memory else {
      throw .tooLarge(origin, tokens: tokens, cache: name, bytes: bytes, memory: memory)
    }
  }

  /// Takes in a prompt, chunk by chunk, and lets the cache do what it does at its end.
  ///
  /// - Parameter afterChunk: called for each chunk that has gone through all layers, with the bytes held then
  func read(prompt: [Int32], afterChunk: (_ tokens: Int, _ cacheBytes: Int) -> Void = { _, _ in }) {
    sequence.append(prompt)
    read(afterChunk)
  }

  /// Takes in a token of the answer.
  func read(answer token: Int32) {
    sequence.append(token)
    read { _, _ in }
  }

  private func read(_ afterChunk: (_ tokens: Int, _ cacheBytes: Int) -> Void) {
    sequence.requestLogits()
    var waiting = unreadTokens
    while scheduler.step({ next = Sampler.largest($1) }) {
      cacheBytesPeak = max(cacheBytesPeak, sequence.bytes)
      let tokens = waiting - unreadTokens
      waiting -= tokens
      if tokens > 0 { afterChunk(tokens, sequence.bytes) }
    }
  }

  private var unreadTokens: Int { sequence.waitingTokens - (sequence.layerwise?.finishedTokens ?? 0) }

  /// Takes in tokens and gives the likeliest one after each of them.
  func choices(reading tokens: [Int32]) throws(LanguageModelError) -> [Int32] {
    var choices: [Int32?] = []
    engine.feed(tokens, cache: cache) { range in
      cacheBytesPeak = max(cacheBytesPeak, cache.bytes)
      for row in 0..<range.count { choices.append(Sampler.largest(engine.logits(row: row)).map { Int32($0) }) }
      return true
    }
    let finite = choices.compactMap { $0 }
    guard finite.count == tokens.count else { throw .noFiniteLogit }
    return finite
  }

  /// The likeliest token after the last one.
  func likeliest() throws(LanguageModelError) -> Int32 {
    guard let next else { throw .noFiniteLogit }
    return Int32(next)
  }
}
