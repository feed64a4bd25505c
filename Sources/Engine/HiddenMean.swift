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
  /// Takes the last hidden states of rows of the last step, which follow each other, into a mean.
  func add(_ rows: Range<Int>, to mean: HiddenMean) {
    for first in stride(from: rows.lowerBound, to: rows.upperBound, by: workspace.logitRows) {
      let block = first..<min(first + workspace.logitRows, rows.upperBound)
      let states = model.lastHidden(of: self.rows(block), workspace: workspace, team: team)
      mean.add(states, rows: block.count, width: model.configuration.hiddenSize)
    }
  }
}
