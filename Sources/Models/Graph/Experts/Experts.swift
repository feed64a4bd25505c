import Kernels

/// Feed-forwards of which each row meets only the few that a router prefers.
struct Experts: Sendable {
  enum Scoring: Sendable {
    case softmax
    case sigmoid
  }

  /// All there are, and those that a row meets.
  let count: Int
  let used: Int
  /// Numbers between the two matrices of an expert.
  let feedForward: Int
  let activation: Activation
  var scoring = Scoring.softmax
  /// Whether the weights of a row's experts are divided by their sum.
  var normalizes = true
  /// What weights are multiplied by in the end.
  var scale: Float = 1
  /// Whether a learned bias is added to scores before the best are chosen (`exp_probs_b`), and to nothing else.
  var hasSelectionBias = false
  /// Whether the file holds a factor for each expert (`ffn_down_exps.scale`).
  var hasScales = false
}

/// What experts of a model need room for.
struct ExpertSizes: Sendable {
  let columns: Int
  let feedForward: Int
  let count: Int
  let used: Int
}

/// The experts of a layer as the executor meets them. `ExpertMatrices` keeps alive what the addresses point to.
struct ExpertLayer: BitwiseCopyable {
  let count: Int
  let used: Int
  let feedForward: Int
  let activation: Activation
  let usesSigmoid: Bool
  let normalizes: Bool
  let scale: Float
  /// `[expert]`, each `[feedForward, column]`.
  let gates: UnsafePointer<LinearSegment>
  let ups: UnsafePointer<LinearSegment>
  /// `[expert]`, each `[column, feedForward]`.
  let downs: UnsafePointer<LinearSegment>
  /// `[expert, feedForward]`, and of the last `[expert, column]`; nil where there are none.
  let gateBiases: UnsafePointer<Float>?
  let upBiases: UnsafePointer<Float>?
  let downBiases: UnsafePointer<Float>?
  /// `[expert]`
  let selectionBias: UnsafePointer<Float>?
  let scales: UnsafePointer<Float>?
}
