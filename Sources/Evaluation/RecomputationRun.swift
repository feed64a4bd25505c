package import Engine
package import KVCaches
import Kernels

/// What a token of a stream costs beside a sliding window that is computed anew for it (arXiv 2309.17453, figure 10).
///
/// Each does what it does best. Recomputation takes the last `window` tokens as one prompt into an empty cache, in chunks as
/// large as the engine's, and needs the logits of the last one. The stream takes one token into sinks and a window of
/// together as many tokens, long since full.
package enum RecomputationRun {
  package struct Options: Sendable {
    /// Tokens of the windows, each more than the sinks.
    package var windows = [256, 512, 1024, 2048, 4096]
    /// Tokens that the stream writes for one recomputed one.
    package var decode = 64
    /// How often both are measured, in turn; medians count.
    package var rounds = 1

    package init() {}
  }

  /// Sinks of the stream, which count as part of its window.
  package static let sinks = 4

  /// Medians for one window.
  package struct Row: Sendable, Hashable {
    package var window: Int
    /// Seconds of one token.
    package var recomputationSeconds: Double
    package var streamSeconds: Double
    /// The median of the rounds' ratios.
    package var ratio: Double
  }

  /// Measures window after window, the two ways in turn.
  ///
  /// - Parameter afterRow: called with each window's figures as soon as they are there
  /// - Throws: `KVCacheError` where a cache does not fit the model, or this machine's memory.
  package static func measure(
    _ engine: InferenceEngine, slotType: KVCache.SlotType, options: Options, afterRow: (Row) -> Void
  ) throws(KVCacheError) {
    for window in options.windows {
      precondition(window > sinks, "a window holds more than the sinks")
      var recomputation = SpeedRun.Options()
      recomputation.prefill = window
      var stream = SpeedRun.Options()
      (stream.decode, stream.depth, stream.fillsDepth) = (options.decode, 2 * window, true)
      let plan = KVCache.Plan {
        Sinks(sinks)
        Window(window - sinks)
      }
      try SpeedRun.checkMemory(engine, plan, slotType, stream)
      let whole = SpeedMeasurement(
        engine: engine, options: recomputation,
        cache: try engine.makeCache(KVCache.Plan { Window(window) }, slotType: slotType))
      let rolling = SpeedMeasurement(
        engine: engine, options: stream, cache: try engine.makeCache(plan, slotType: slotType))
      afterRow(
        row(
          window: window,
          rounds: (0..<options.rounds).map { _ in
            (whole.prefillSeconds(), rolling.decodeSeconds() / Double(options.decode))
          }))
    }
  }

  /// The medians of seconds that were measured in turn.
  static func row(window: Int, rounds: [(recomputation: Double, stream: Double)]) -> Row {
    Row(
      window: window, recomputationSeconds: SpeedMeasurement.median(rounds.map(\.recomputation)),
      streamSeconds: SpeedMeasurement.median(rounds.map(\.stream)),
      ratio: SpeedMeasurement.median(rounds.map { $0.recomputation / $0.stream }))
  }
}
