import Engine
import KVCaches
import Kernels

/// The timed parts of a speed run, each from a cache of the wanted depth.
struct SpeedMeasurement {
  let engine: InferenceEngine
  let options: SpeedRun.Options
  let cache: KVCache
  /// The cache at the depth, where it took a real feed to get there.
  private let start: [UInt8]?

  /// Brings the cache to the depth.
  init(engine: InferenceEngine, options: SpeedRun.Options, cache: KVCache) {
    self.engine = engine
    self.options = options
    self.cache = cache
    guard options.depth > 0, !options.fillsDepth else {
      start = nil
      return
    }
    engine.feed(Self.ids(options.depth, engine), cache: cache)
    start = cache.snapshot()
  }

  /// Seconds of the prompt with the logits of its last token.
  func prefillSeconds() -> Double {
    rewind(cache)
    engine.feed(ids(min(options.prefill, engine.chunk)), cache: cache)
    rewind(cache)
    let prompt = ids(options.prefill)
    return Self.seconds {
      var last = 0
      engine.feed(prompt, cache: cache) { range in
        last = range.count - 1
        return true
      }
      _ = engine.logits(row: last)
    }
  }

  /// Seconds of single tokens with their logits, after the prompt that brought the cache to the depth.
  func decodeSeconds() -> Double {
    rewind(cache)
    engine.finishPrompt(of: cache)
    engine.feed(ids(1), cache: cache)
    let tokens = ids(options.decode)
    return Self.seconds {
      for id in tokens {
        engine.feed([id], cache: cache)
        _ = engine.logits(row: 0)
      }
    }
  }

  /// Seconds of steps in which each of the caches' sequences gets one token, with all their logits.
  func decodeSeconds(_ caches: [KVCache]) -> Double {
    for cache in caches {
      rewind(cache)
      engine.finishPrompt(of: cache)
    }
    let batch = Batch(capacity: caches.count)
    let step = { (id: Int32) in
      batch.removeAll()
      for cache in caches { batch.append(id, memory: cache, needsLogits: true) }
      engine.step(batch)
      engine.forEachLogits(of: batch.logitRows) { _, _ in }
    }
    step(1)
    let tokens = ids(options.decode)
    return Self.seconds { for id in tokens { step(id) } }
  }

  /// The median of as many measurements as are asked for.
  func median(_ body: () -> Double) -> Double {
    Self.median((0..<max(options.rounds, 1)).map { _ in body() })
  }

  /// - Precondition: there is a value.
  static func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
  }

  /// Brings a cache of the same plan to the depth, whatever it holds.
  private func rewind(_ cache: KVCache) {
    if let start {
      do { try cache.restore(start) } catch { preconditionFailure("a cache refused its own snapshot: \(error)") }
    } else {
      cache.reset()
      cache.fill(tokens: options.depth, kernels: engine.kernels)
    }
  }

  private func ids(_ count: Int) -> [Int32] { Self.ids(count, engine) }

  private static func ids(_ count: Int, _ engine: InferenceEngine) -> [Int32] {
    (0..<count).map { Int32($0 &* 7919 % engine.vocabularySize) }
  }

  private static func seconds(_ body: () -> Void) -> Double { MachineLimits.fastest(of: 1, body) }
}
