/// The rows that a group of workers has of a step under way.
struct GroupStep {
  private(set) var description = StepDescription()
  /// Where the rows lie among those of the batch, without gaps between ranges that could be one.
  private(set) var rows: [Range<Int>] = []
  private var isWhole = true
  /// Whether the group takes part in the step: it has rows, and no worker is lost.
  var isActive: Bool { isWhole && !rows.isEmpty }

  mutating func begin() {
    description = StepDescription()
    rows.removeAll(keepingCapacity: true)
    isWhole = true
  }

  /// Leaves the rest of the step out: a worker is lost.
  mutating func end() { isWhole = false }

  mutating func append(_ part: StepDescription.Part, _ range: Range<Int>) {
    description.parts.append(part)
    if let last = rows.last, last.upperBound == range.lowerBound {
      rows[rows.count - 1] = last.lowerBound..<range.upperBound
    } else {
      rows.append(range)
    }
  }
}
