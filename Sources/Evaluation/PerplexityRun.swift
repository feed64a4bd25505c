import CLibrary
package import Engine
package import KVCaches
import Kernels

/// Streaming perplexity: the text is one stream, every next token is scored, and nothing is reset.
///
/// The protocol of arXiv 2309.17453: each token is predicted from what the cache remembers, and perplexity is the
/// exponential of the mean negative log likelihood. The first token is not scored and the last one not fed. Memory does
/// not grow with the stream, except by the cache itself where its plan is unbounded.
package final class PerplexityRun {
  package let policy: CachePolicy
  /// Tokens scored so far.
  package private(set) var scoredTokens = 0
  /// The sum of their negative log likelihoods, in nats.
  package private(set) var totalNegativeLogLikelihood = 0.0
  /// The most bytes of keys and values held so far.
  package private(set) var cacheBytesPeak = 0

  private let engine: InferenceEngine
  private let cache: KVCache
  private let scorer: TokenScorer
  /// Tokens of which those from `next` on are not yet fed; the last one is there only to be predicted. Before `next`,
  /// with recomputation, stands the last window.
  private var waiting: [Int32] = []
  private var next = 0

  package init(
    engine: InferenceEngine, policy: CachePolicy, slotType: KVCache.SlotType = .float16
  ) throws(KVCacheError) {
    self.engine = engine
    self.policy = policy
    scorer = TokenScorer(engine: engine)
    switch policy {
    case .plan(let plan, _): cache = try engine.makeCache(plan, slotType: slotType)
    case .recompute(let window, _): cache = try engine.makeCache(KVCache.Plan { Window(window) }, slotType: slotType)
    }
  }

  /// Tokens kept for later steps, which bounds what a run remembers beside its cache.
  package var waitingTokens: Int { waiting.count }

  /// exp of the mean negative log likelihood; nil before the first scored token.
  package var perplexity: Double? {
    scoredTokens > 0 ? exp(totalNegativeLogLikelihood / Double(scoredTokens)) : nil
  }

  /// Takes in the next tokens of the stream and scores what can be scored.
  ///
  /// - Parameter afterStep: called after each step, with the negative log likelihoods it added.
  package func append(_ tokens: [Int32], afterStep: (ArraySlice<Double>) -> Void = { _ in }) {
    waiting += tokens
    let wanted: Int
    switch policy {
    case .plan: wanted = engine.chunk
    case .recompute(_, let stride): wanted = stride
    }
    while waiting.count - next > wanted { step(wanted, afterStep) }
    dropWhatIsDone()
  }

  /// Scores what still waits at the end of the stream.
  package func finish(afterStep: (ArraySlice<Double>) -> Void = { _ in }) {
    if waiting.count - next > 1 { step(waiting.count - next - 1, afterStep) }
    dropWhatIsDone()
  }

  /// Forgets the tokens that no later step needs, once for many steps.
  private func dropWhatIsDone() {
    let kept =
      switch policy {
      case .plan: 0
      case .recompute(let window, _): window
      }
    let done = max(0, next - kept)
    waiting.removeFirst(done)
    next -= done
  }

  /// Feeds `count` tokens and scores the ones that follow each of them.
  private func step(_ count: Int, _ afterStep: (ArraySlice<Double>) -> Void) {
    switch policy {
    case .plan: stepOn(count, afterStep)
    case .recompute(let window, _): recompute(count, window: window, afterStep)
    }
  }

  private func stepOn(_ count: Int, _ afterStep: (ArraySlice<Double>) -> Void) {
    var scores: [Double] = []
    let start = next
    engine.feed(Array(waiting[start..<start + count]), cache: cache) { range in
      let targets = waiting[start + range.lowerBound + 1..<start + range.upperBound + 1]
      scorer.score(rows: 0..<range.count, targets: targets) { scores.append($0) }
      return true
    }
    next += count
    record(scores[...], afterStep)
  }

  /// A fresh sequence of the last `window` tokens, of which only the last `count` are scored.
  private func recompute(_ count: Int, window: Int, _ afterStep: (ArraySlice<Double>) -> Void) {
    let end = next + count
    let start = max(0, end - window)
    cache.reset()
    var scores: [Double] = []
    engine.feed(Array(waiting[start..<end]), cache: cache) { range in
      let first = max(next - start, range.lowerBound)
      guard first < range.upperBound else { return true }
      let targets = waiting[start + first + 1..<start + range.upperBound + 1]
      scorer.score(rows: first - range.lowerBound..<range.count, targets: targets) { scores.append($0) }
      return true
    }
    next = end
    record(scores[...], afterStep)
  }

  private func record(_ scores: ArraySlice<Double>, _ afterStep: (ArraySlice<Double>) -> Void) {
    cacheBytesPeak = max(cacheBytesPeak, cache.bytes)
    scoredTokens += scores.count
    for score in scores { totalNegativeLogLikelihood += score }
    afterStep(scores)
  }
}
