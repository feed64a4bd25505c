import SessionStore

/// How long steps of so many rows take, learned from each step.
package struct StepEstimates: Sendable {
  /// By the power of two that the rows reach.
  private var seconds = [MovingMean](repeating: MovingMean(), count: 20)

  package init() {}

  package mutating func note(rows: Int, seconds: Double) {
    guard rows > 0 else { return }
    self.seconds[bucket(rows)].note(seconds / Double(rows))
  }

  /// Seconds of a step; nil where none of about that size was seen.
  package func seconds(rows: Int) -> Double? {
    let wanted = bucket(max(1, rows))
    // A larger step takes less a row, so what is known of the nearest is too much or too little by little.
    let known = seconds.indices.filter { seconds[$0].value != nil }
    guard let nearest = known.min(by: { abs($0 - wanted) < abs($1 - wanted) }), abs(nearest - wanted) <= 2 else {
      return nil
    }
    return seconds[nearest].value.map { $0 * Double(rows) }
  }

  /// Seconds of reading so many tokens in steps of at most so many rows.
  package func seconds(reading tokens: Int, rowsAStep: Int) -> Double? {
    seconds(rows: min(tokens, rowsAStep)).map { $0 / Double(max(1, min(tokens, rowsAStep))) * Double(tokens) }
  }

  private func bucket(_ rows: Int) -> Int { min(seconds.count - 1, rows.bitWidth - 1 - rows.leadingZeroBitCount) }
}
