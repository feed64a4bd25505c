import Engine
import Evaluation
import KVCaches
import Simulation

extension MeasuredTimes {
  /// Curves of this machine as it is now, for so many sequences together whose places are always taken.
  ///
  /// - Parameter trace: whose lengths they shall reach
  /// - Throws: `KVCacheError` where the caches do not fit the model or this machine, `CommandError` where only one sequence can be.
  init(_ engine: InferenceEngine, _ slotType: KVCache.SlotType, around batch: Int, _ trace: RequestTrace) throws {
    guard engine.chunk > 1 else { throw CommandError("curves need --chunk 2 or more, which bounds sequences together") }
    var options = StepTimesRun.Options()
    let first = max(1, min(batch, engine.chunk - 1))
    options.batches = [first, first + 1]
    // Geometric lengths seldom reach more than three times their mean.
    let longest = trace.spread == .fixed ? trace.prompt + trace.output : 3 * trace.prompt + trace.output
    options.lengths = [64, max(128, Int(longest) / 3), max(256, Int(longest))]
    options.steps = 8
    self = try StepTimesRun(engine, slotType: slotType, options: options).measure().curves(options)
  }
}
