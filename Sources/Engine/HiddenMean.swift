import Models

/// The mean of the last hidden states of a sequence's tokens: an embedding of its text.
///
/// Sums are in `Double`, so that a long text's mean depends on the order of its chunks in the last bits only.
package final class HiddenMean {
  /// `[hidden]`
  private var sums: [Double] = []
  /// Tokens so far.
  package private(set) var count = 0

  package init() {}

  /// The mean so far; empty before the first token.
  package var values: [Float] { sums.map { Float($0 / Double(count)) } }

  /// Takes in states `[row, hidden]`.
  func add(_ states: UnsafePointer<Float>, rows: Int, width: Int) {
    if sums.isEmpty { sums = [Double](repeating: 0, count: width) }
    precondition(sums.count == width, "states of another model")
    for row in 0..<rows {
      for dim in 0..<width { sums[dim] += Double(states[row * width + dim]) }
    }
    count += rows
  }
}

extension InferenceEngine {
  /// Takes the last hidden states of rows of a lane's last step, which follow each other, into a mean.
  func add(_ rows: Range<Int>, lane: Int = 0, to mean: HiddenMean) {
    forEachHidden(of: rows, lane: lane) { block, states in
      mean.add(states, rows: block.count, width: model.configuration.hiddenSize)
    }
  }
}
