import Engine

/// A record of lines, each with a name and a number, and a question for one of them.
///
/// The form of LongEval's lines (Li et al. 2023), asked as a completion: the prompt ends where the number starts.
struct LineRecord {
  let prompts: RecallPrompts

  init(_ prompts: RecallPrompts) { self.prompts = prompts }

  private static let head = """
    This is a record of lines to remember. Each line starts with its name and ends with its <REGISTER_CONTENT>, a number. \
    After the record you are asked for the <REGISTER_CONTENT> of one of the lines. The record starts here:


    """

  private static func line(_ name: String, _ number: Int) -> String {
    "line \(name): REGISTER_CONTENT is <\(number)>\n"
  }

  private static func question(_ name: String) -> String {
    """

    The record ends here. What is the <REGISTER_CONTENT> in line \(name)?
    The <REGISTER_CONTENT> in line \(name) is <
    """
  }

  /// A record with as many lines as fit, of which the one at `depth` is asked for.
  func prompt(length: Int, depth: Double, random: inout RandomSource) throws(RecallError) -> RecallPrompts.Prompt {
    var names = NameSequence(from: &random)
    var lines: [(name: String, number: Int)] = []
    // The question is not known yet, so lines are counted without it and taken away again below.
    var count = prompts.encode(Self.head).count
    while count <= length {
      lines.append((names.next(), random.fiveDigits()))
      count += prompts.count(Self.line(lines[lines.count - 1].name, lines[lines.count - 1].number), after: "\n")
    }
    while true {
      if lines.isEmpty { lines.append((names.next(), random.fiveDigits())) }
      let asked = lines[Int((depth * Double(lines.count - 1)).rounded())]
      let text = Self.head + lines.map(Self.line).joined() + Self.question(asked.name)
      let tokens = prompts.encode(text)
      if tokens.count <= length {
        return RecallPrompts.Prompt(text: text, tokens: tokens, expected: String(asked.number))
      }
      guard lines.count > 1 else { throw .tooShort(.lines, length: length, needed: tokens.count) }
      lines.removeLast()
    }
  }
}

/// Names in an order that looks random and repeats none: a walk through all of them by a step without common divisor.
private struct NameSequence {
  private var place: Int
  private var round = 0
  private let step: Int
  private let start: Int

  init(from random: inout RandomSource) {
    start = random.below(RecallNames.count)
    place = start
    // Odd and no multiple of 5, so without a divisor in common with 10,000.
    step = 2 * (5 * random.below(900) + 101) + 1
  }

  mutating func next() -> String {
    defer {
      place = (place + step) % RecallNames.count
      if place == start { round += 1 }
    }
    return RecallNames.name(round * RecallNames.count + place)
  }
}
