/// A prompt that a model completes, and the number that should come first in what it says.
package struct RecallCase: Sendable, Hashable {
  /// Encoded, with the begin of sequence where the tokenizer asks for one.
  package var prompt: [Int32]
  /// Decimal digits.
  package var expected: String
  /// The cell of the sweep that it counts for; nil for a case from a file that says no depth.
  package var point: RecallGrid.Point?
  /// Where it comes from, for messages: "a prompt of 4000 tokens", "cases.jsonl, line 3: the prompt".
  package var origin: String
  /// Which digits of the answer are compared with the expected ones, place by place.
  package var digits: Digits

  /// Digits of an answer.
  package enum Digits: Sendable, Hashable {
    /// Those of its first number.
    case firstNumber
    /// Its first five, whatever is between them.
    case firstFive
  }

  package init(
    prompt: [Int32], expected: String, point: RecallGrid.Point? = nil, origin: String = "a prompt",
    digits: Digits = .firstNumber
  ) {
    self.prompt = prompt
    self.expected = expected
    self.point = point
    self.origin = origin
    self.digits = digits
  }
}

/// The cells of a sweep: prompts of some lengths, and in each the sought number at some places.
package struct RecallGrid: Sendable, Hashable {
  /// A cell by its place in the axes.
  package struct Point: Sendable, Hashable {
    package var length: Int
    package var place: Int

    package init(length: Int, place: Int) {
      self.length = length
      self.place = place
    }
  }

  /// Where the sought number stands.
  package enum Places: Sendable, Hashable {
    /// Shares of what stands before the question, 0 its start and 1 its end.
    case depths([Double])
    /// Lines of a stream since the one that is asked for.
    case linesBack([Int])

    package var count: Int {
      switch self {
      case .depths(let depths): depths.count
      case .linesBack(let lines): lines.count
      }
    }
  }

  /// Tokens of a prompt; in a stream, where windows of it end.
  package var lengths: [Int]
  package var places: Places

  package init(lengths: [Int], places: Places) {
    self.lengths = lengths
    self.places = places
  }

  /// All cells, lengths first.
  package var points: [Point] {
    lengths.indices.flatMap { length in (0..<places.count).map { Point(length: length, place: $0) } }
  }

  /// The cell nearest to a prompt from elsewhere; nil in a grid of streams.
  func nearest(length: Int, depth: Double) -> Point? {
    guard case .depths(let depths) = places,
      let column = lengths.indices.min(by: { abs(lengths[$0] - length) < abs(lengths[$1] - length) }),
      let row = depths.indices.min(by: { abs(depths[$0] - depth) < abs(depths[$1] - depth) })
    else { return nil }
    return Point(length: column, place: row)
  }
}
