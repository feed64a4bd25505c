import Engine
import Evaluation
import KVCaches
import Simulation

/// Curves of this machine that are measured again and again.
struct CurveRounds {
  private let options: StepTimesRun.Options
  private let run: StepTimesRun

  /// - Parameters:
  ///   - batches: sequences together that the curves shall serve
  ///   - traces: whose lengths they shall reach
  /// - Throws: `KVCacheError` where the caches do not fit the model or this machine.
  init(
    _ engine: InferenceEngine, _ slotType: KVCache.SlotType, batches: [Int], traces: [RequestTrace]
  ) throws(KVCacheError) {
    var options = StepTimesRun.Options()
    options.batches = Set(batches + [1, 2]).sorted()
    // Geometric lengths seldom reach more than three times their mean.
    let longest = traces.map { $0.spread == .fixed ? $0.prompt + $0.output : 3 * $0.prompt + $0.output }.max() ?? 0
    options.lengths = [64, max(128, Int(longest) / 3), max(256, Int(longest))]
    options.steps = 8
    self.options = options
    run = try StepTimesRun(engine, slotType: slotType, options: options)
  }

  func measure() throws -> MeasuredTimes { try run.measure().curves(options) }
}
