import Engine
import Tokenizers

/// The cases of an evaluation, the same for every cache: read from a file, or made when they are asked for.
package struct RecallCases: Sendable {
  package let count: Int
  /// Tokens of all prompts, at most.
  package let totalTokens: Int
  package let grid: RecallGrid?
  private let make: @Sendable (Int) throws(RecallError) -> RecallCase

  /// Cases that are there.
  package init(_ cases: [RecallCase], grid: RecallGrid? = nil) {
    count = cases.count
    totalTokens = cases.reduce(0) { $0 + $1.prompt.count }
    self.grid = grid
    make = { cases[$0] }
  }

  /// A sweep: `casesPerPoint` of every length and depth, in this order.
  ///
  /// Each case follows from the seed, the task, its length, depth and number, and not from which others there are.
  ///
  /// - Throws: `RecallError` where a length has no room for its case.
  package init(
    _ prompts: RecallPrompts, lengths: [Int], depths: [Double], casesPerPoint: Int, seed: UInt64
  ) throws(RecallError) {
    let grid = RecallGrid(lengths: lengths, places: .depths(depths))
    let points = grid.points
    count = points.count * casesPerPoint
    totalTokens = lengths.reduce(0, +) * depths.count * casesPerPoint
    self.grid = grid
    let task = RecallTask.allCases.firstIndex(of: prompts.task) ?? 0
    make = { (index) throws(RecallError) in
      let point = points[index / casesPerPoint]
      let (length, depth) = (lengths[point.length], depths[point.place])
      var random = RandomSource(seed: seed, task, length, Int(depth * 1e6), index % casesPerPoint)
      let prompt = try prompts.prompt(length: length, depth: depth, random: &random)
      return RecallCase(
        prompt: prompt.tokens, expected: prompt.expected, point: point, origin: "a prompt of length \(length)",
        digits: prompts.digits)
    }
    // The shortest length is where room may be missing.
    if let shortest = lengths.indices.min(by: { lengths[$0] < lengths[$1] }) {
      _ = try make(shortest * depths.count * casesPerPoint)
    }
  }

  /// The case with this number.
  ///
  /// - Throws: `RecallError` where the length has no room for it.
  package func callAsFunction(_ index: Int) throws(RecallError) -> RecallCase { try make(index) }
}
