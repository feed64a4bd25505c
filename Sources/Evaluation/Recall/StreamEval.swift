import Engine
package import Tokenizers

/// A stream of numbered lines with a number each, and after every tenth line a query for the one `linesBack` before it.
///
/// StreamEval of arXiv 2309.17453, which was never published, rebuilt from its description: the first query comes after
/// line `linesBack`, for line 0. What follows a query in the stream is the right answer, whatever a model would say.
package struct StreamEval: Sendable {
  /// The next part of the stream.
  package struct Part: Sendable, Hashable {
    /// The lines since the last query, and the next query up to where its number starts.
    package var tokens: [Int32]
    /// The number that was asked for, token by token.
    package var answer: [Int32]
  }

  /// Lines from one query to the next.
  static let linesPerQuery = 10

  private let tokenizer: Tokenizer
  private let linesBack: Int
  private var random: RandomSource
  private var line = 0
  /// Values of the last lines, that of line i at i modulo their count.
  private var values: [Int]
  /// What waits in front of the next line.
  private var pending: [Int32]

  package init(tokenizer: Tokenizer, linesBack: Int, seed: UInt64, sample: Int) {
    precondition(linesBack > 0)
    self.tokenizer = tokenizer
    self.linesBack = linesBack
    random = RandomSource(seed: seed, RecallTask.allCases.count, linesBack, sample)
    values = [Int](repeating: 0, count: linesBack + 1)
    pending = tokenizer.encodePrompt(
      """
      This is a record of lines, each with a REGISTER_CONTENT. Remember them: queries for earlier lines come in between.


      """)
  }

  /// The stream up to its next query.
  package mutating func next() -> Part {
    var tokens = pending
    repeat {
      let value = random.fiveDigits()
      values[line % values.count] = value
      tokens += tokenizer.encode("The REGISTER_CONTENT in line \(line) is <\(value)>\n", after: "\n")
      line += 1
    } while line <= linesBack || (line - 1 - linesBack) % Self.linesPerQuery != 0
    let asked = line - 1 - linesBack
    tokens += tokenizer.encode("Query: The REGISTER_CONTENT in line \(asked) is <", after: "\n")
    pending = tokenizer.encode(">\n", after: "0")
    return Part(tokens: tokens, answer: tokenizer.encode(String(values[asked % values.count]), after: "<"))
  }
}
