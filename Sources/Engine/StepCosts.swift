import KVCaches
import Kernels
import Models

/// What the parts of a step cost, in rows that go through the layers' matrices and attend to nothing.
///
/// Counts of multiplications, because a clock would let the same requests be cut into other chunks each time.
package struct StepCosts: Sendable, Hashable {
  /// The step itself, however few rows it has: it reads all weights.
  package var step: Double
  /// A row's attention to one slot of every layer.
  package var slot: Double

  package init(step: Double, slot: Double) { (self.step, self.slot) = (step, slot) }

  /// A row that attends to so many slots.
  package func row(slots: Int) -> Double { 1 + slot * Double(slots) }
}

extension InferenceEngine {
  /// What a step costs with this engine's model.
  package var stepCosts: StepCosts {
    let weights = model.layerWeights.values.reduce(0, +)
    let attention = model.configuration.layers.reduce(0) { $0 + 2 * $1.queryHeads * $1.headDim }
    // Measured (docs/measurements.md): reading weights takes as long as 6 to 9 rows, and a multiplication of attention as
    // long as 1.3 to 2.3 of a matrix.
    return StepCosts(step: 6, slot: 2 * Double(attention) / Double(max(1, weights)))
  }
}
