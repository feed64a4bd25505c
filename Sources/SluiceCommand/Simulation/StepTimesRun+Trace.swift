import Evaluation
import Simulation

extension StepTimesRun.Options {
  /// What curves take for so many sequences together whose places are always taken.
  ///
  /// - Parameter trace: whose lengths they shall reach
  init(batch: Int, _ trace: RequestTrace) {
    self.init()
    batches = [batch]
    // Geometric lengths seldom reach more than three times their mean.
    let longest = trace.spread == .fixed ? trace.prompt + trace.output : 3 * trace.prompt + trace.output
    lengths = [64, max(128, Int(longest) / 3), max(256, Int(longest))]
    steps = 8
  }
}
