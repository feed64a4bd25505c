/// Cuts text into the words inside which byte pairs may merge: a list of passes, each cutting the pieces of the last.
struct PreTokenizer: Sendable {
  /// No pass leaves the text whole.
  let passes: [SplitPattern]

  init(_ passes: [SplitPattern]) { self.passes = passes }

  /// Calls `body` with the range of each word of `text[start..<end]` from left to right; returns where it stopped.
  ///
  /// With `isOpen` more text may follow: then it stops before the first word that the text to come could change. To go
  /// on, call again from there with the longer text; the words are those of the whole text cut at once, because no
  /// pattern looks back across the start of a piece.
  func forEachWord(
    in text: ScalarText, from start: Int, to end: Int, isOpen: Bool, _ body: (Int, Int) -> Void
  ) -> Int {
    split(text, pass: 0, from: start, to: end, isOpen: isOpen, body)
  }

  private func split(
    _ text: ScalarText, pass: Int, from start: Int, to end: Int, isOpen: Bool, _ body: (Int, Int) -> Void
  ) -> Int {
    guard pass < passes.count else {
      if isOpen { return start }
      if start < end { body(start, end) }
      return end
    }
    let isLast = pass == passes.count - 1
    var position = start
    while position < end {
      let piece = passes[pass].nextPiece(in: text, from: position, to: end, isOpen: isOpen)
      switch piece {
      case .settled(let pieceEnd):
        precondition(pieceEnd > position, "a pattern matched nothing")
        if isLast {
          body(position, pieceEnd)
        } else {
          _ = split(text, pass: pass + 1, from: position, to: pieceEnd, isOpen: false, body)
        }
        position = pieceEnd
      case .openGap(let gapEnd):
        return split(text, pass: pass + 1, from: position, to: gapEnd, isOpen: true, body)
      case .undecided:
        return position
      }
    }
    return position
  }
}

/// What a pattern says about the piece at a position.
enum SplitPiece {
  /// The piece ends here whatever follows the text.
  case settled(end: Int)
  /// No match starts before this place, but one might there: all before it lies in a gap that may go on.
  case openGap(end: Int)
  /// The piece depends on text that has not come yet.
  case undecided
}

/// One pass of a pre-tokenizer.
enum SplitPattern: Sendable {
  /// The pattern of GPT-2; every character belongs to a match.
  case gpt2
  /// The pattern of GPT-4's family (Llama 3, Qwen 2, GPT-4o, Tekken); every character belongs to a match.
  case gpt4(GPT4Pattern)
  /// The last pattern of DeepSeek V3; every character belongs to a match or to a gap of what it leaves out.
  case deepseek3(DeepSeek3Pattern)
  /// Runs of a set of characters, each set apart from what is around it.
  case runs(ScalarRun)
  /// White space at the end of a piece, set apart.
  case trailingSpace
  /// Runs of digits in the byte alphabet: a `Digits` pass that follows `ByteLevel` in a tokenizer.json.
  case byteDigits(maximum: Int)
  /// Cuts before every space: `Metaspace` in a tokenizer.json.
  case spaces
  /// Cuts between runs of line breaks and the text between them.
  case lines
  /// The words of Bloom, with what is around them as gaps.
  case bloom
  /// Cuts before the last digits of a number that can be counted in threes.
  case digitThrees(DigitThrees)
  /// What Chameleon sets apart first: its marks of images, tabs, line breaks and pairs of spaces.
  case chameleon
  /// Cuts between characters that are neighbours in no token, which no merge can cross.
  case neighbours(ScalarPairs)

  func nextPiece(in text: ScalarText, from start: Int, to end: Int, isOpen: Bool) -> SplitPiece {
    switch self {
    case .gpt2: covering(GPT2Pattern.match(in: text, from: start, to: end), isOpen)
    case .gpt4(let pattern): covering(pattern.match(in: text, from: start, to: end), isOpen)
    case .neighbours(let pairs): covering(pairs.match(in: text, from: start, to: end), isOpen)
    case .spaces: covering(SpacePattern.match(in: text, from: start, to: end), isOpen)
    case .deepseek3(let pattern): Self.search(text, start, end, isOpen) { pattern.match(in: text, from: $0, to: end) }
    case .runs(let run): run.nextPiece(in: text, from: start, to: end, isOpen: isOpen)
    case .trailingSpace: TrailingSpacePattern.nextPiece(in: text, from: start, to: end, isOpen: isOpen)
    case .lines: LinePattern.nextPiece(in: text, from: start, to: end, isOpen: isOpen)
    case .digitThrees(let digits): digits.nextPiece(in: text, from: start, to: end, isOpen: isOpen)
    case .chameleon: Self.search(text, start, end, isOpen) { ChameleonPattern.match(in: text, from: $0, to: end) }
    case .bloom: Self.search(text, start, end, isOpen) { BloomPattern.match(in: text, from: $0, to: end) }
    case .byteDigits(let maximum):
      Self.search(text, start, end, isOpen, byteByByte: true) {
        ByteDigitsPattern.match(in: text, from: $0, to: end, maximum: maximum)
      }
    }
  }

  @inline(__always)
  private func covering(_ match: SplitMatch, _ isOpen: Bool) -> SplitPiece {
    isOpen && match.sawEnd ? .undecided : .settled(end: match.end)
  }

  /// The leftmost match at or after `start`: itself where it starts there, else the gap before it.
  @inline(__always)
  private static func search(
    _ text: ScalarText, _ start: Int, _ end: Int, _ isOpen: Bool, byteByByte: Bool = false, _ match: (Int) -> SplitMatch
  ) -> SplitPiece {
    var position = start
    while position < end {
      let found = match(position)
      if isOpen && found.sawEnd { return position > start ? .openGap(end: position) : .undecided }
      if found.end > position { return .settled(end: position > start ? position : found.end) }
      position += byteByByte ? 1 : text.scalar(at: position, end: end).length
    }
    return isOpen ? .openGap(end: end) : .settled(end: end)
  }
}

/// A match of a pattern at a position.
struct SplitMatch {
  /// Where it ends; the position itself where there is none.
  var end: Int
  /// Whether the answer could be another if the text went on.
  var sawEnd: Bool
}
