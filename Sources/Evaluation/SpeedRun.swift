package import Engine
import Foundation
package import KVCaches
package import Kernels
import Models

/// How fast a model reads a prompt and writes text, beside what the machine allows.
package struct SpeedRun: Sendable {
  /// What is measured, and how often.
  package struct Options: Sendable {
    /// Tokens of the prompt.
    package var prefill = 512
    /// Tokens that are written.
    package var decode = 64
    /// Tokens that the cache has seen before either.
    package var depth = 0
    /// Whether the cache of that depth is filled with noise instead of tokens that went through the model.
    package var fillsDepth = false
    /// Sequences that are decoded together; 1 measures none beyond the single one.
    package var sequences = 1
    /// How often each is measured; the median counts.
    package var rounds = 1

    package init() {}
  }

  package var prefillTokensPerSecond: Double
  package var decodeTokensPerSecond: Double
  /// Tokens per second of all sequences together; nil where only one was decoded.
  package var batchedDecodeTokensPerSecond: Double?
  package var sequences: Int
  package var limits: MachineLimits
  /// Bytes that one step reads whatever its tokens: the weights.
  package var weightBytes: Int
  /// Bytes of keys and values that one sequence's step reads at the end.
  package var cacheBytes: Int
  /// The least seconds that the multiplications of a prompt's token take at the machine's limits.
  package var leastSecondsPerToken: Double

  /// The share of the machine's multiplications that the prompt reaches: two operations for each weight of the layers.
  ///
  /// Attention and the output matrix are not counted. Each matrix is held to the limit of the arithmetic that it uses.
  package var prefillFractionOfLimit: Double { prefillTokensPerSecond * leastSecondsPerToken }

  /// The share of memory bandwidth that decoding reaches; above 1 where the caches of the CPU help.
  package var fractionOfLimit: Double {
    decodeTokensPerSecond * Double(weightBytes + cacheBytes) / limits.readBandwidth
  }

  /// The same for sequences decoded together, which share the weights of a step.
  package var batchedFractionOfLimit: Double? {
    batchedDecodeTokensPerSecond.map { rate in
      rate / Double(sequences) * Double(weightBytes + sequences * cacheBytes) / limits.readBandwidth
    }
  }

  /// Measures one model with one cache: the prompt, single tokens and tokens of several sequences, each at the depth.
  ///
  /// The ids are arbitrary, since time does not depend on them. One warm-up of each comes first.
  ///
  /// - Throws: `KVCacheError` where the caches do not fit the model, or together take more than this machine's memory.
  package static func measure(
    _ engine: InferenceEngine, plan: KVCache.Plan, slotType: KVCache.SlotType, options: Options
  ) throws(KVCacheError) -> SpeedRun {
    try checkMemory(engine, plan, slotType, options)
    let limits = MachineLimits.measure(engine.team, kernels: engine.kernels)
    let measurement = SpeedMeasurement(
      engine: engine, options: options, cache: try engine.makeCache(plan, slotType: slotType))
    let prefill = measurement.median { measurement.prefillSeconds() }
    let decode = measurement.median { measurement.decodeSeconds() }
    let cache = measurement.cache
    let cacheBytes = cache.heldTokens * KVCache.bytesPerToken(shape: cache.shape, slotType: slotType)
    var batched: Double?
    if options.sequences > 1 {
      var caches = [cache]
      for _ in 1..<options.sequences { caches.append(try engine.makeCache(plan, slotType: slotType)) }
      let seconds = measurement.median { measurement.decodeSeconds(caches) }
      batched = Double(options.sequences * options.decode) / seconds
    }
    return SpeedRun(
      prefillTokensPerSecond: Double(options.prefill) / prefill, decodeTokensPerSecond: Double(options.decode) / decode,
      batchedDecodeTokensPerSecond: batched, sequences: options.sequences, limits: limits,
      weightBytes: engine.model.bytesPerToken, cacheBytes: cacheBytes,
      leastSecondsPerToken: engine.model.layerWeights.reduce(0) { seconds, weights in
        let peak = limits.operations(for: weights.key, arithmetic: engine.workspace.arithmetic)
        return seconds + 2 * Double(weights.value) / peak
      })
  }

  /// Refuses caches that together take more than this machine's memory.
  static func checkMemory(
    _ engine: InferenceEngine, _ plan: KVCache.Plan, _ slotType: KVCache.SlotType, _ options: Options
  ) throws(KVCacheError) {
    let tokens = options.depth + max(options.prefill, options.decode + 1)
    let layers = engine.model.configuration.layers
    let bytes = KVCache.bytes(plan: plan, layers: layers, slotType: slotType, tokens: tokens)
    let memory = ProcessInfo.processInfo.physicalMemory
    guard Double(bytes) * Double(options.sequences) < Double(memory) else {
      let caches = options.sequences == 1 ? "" : " in each of \(options.sequences) caches"
      throw .badSpecification(
        plan.description,
        "takes \(bytes >> 20) MiB after \(tokens) tokens\(caches), but this machine has \(memory >> 20) MiB of memory")
    }
  }
}
