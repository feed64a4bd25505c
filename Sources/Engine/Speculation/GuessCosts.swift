import Kernels
import Models

/// What a step of several rows costs beside a step of one, in steps of one row.
///
/// Measured on the default model (docs/measurements.md): in larger models rows cost less beside weights, so there guesses
/// pay where this says that they do. Constants, because a clock would let the same seed write another text.
package struct GuessCosts: Sendable, Hashable {
  /// That it has more than one.
  package var step: Double
  /// Each row more, its logits included.
  package var row: Double

  package init(step: Double, row: Double) { (self.step, self.row) = (step, row) }
}

extension InferenceEngine {
  /// What a step of several rows costs in this engine's arithmetic.
  package var guessCosts: GuessCosts {
    switch workspace.arithmetic {
    case .float32: GuessCosts(step: 0.35, row: 0.4)
    case .int8: kernels.name.hasPrefix("avx512") ? GuessCosts(step: 0.05, row: 0.25) : GuessCosts(step: 0.15, row: 0.35)
    }
  }
}
