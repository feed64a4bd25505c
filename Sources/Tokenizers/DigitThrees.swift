/// Cuts numbers so that their digits can be counted in threes from the right, in two passes.
///
/// The first pass cuts before the longest end of a run of digits whose length is a multiple of three, so that "1234567"
/// becomes "1" and "234567"; the second cuts a piece that begins with such a run after every third digit. Together they
/// are `(?=(\d{3})+(?!\d))`, at one look at each digit: a single pass would count a long number anew for every piece.
struct DigitThrees: Sendable {
  enum Pass: Sendable {
    case beforeThrees
    case threes
  }

  /// What counts as a digit.
  enum Digits: Sendable {
    /// `\d`: decimal digits of all scripts.
    case decimal
    /// `\p{N}`
    case numbers
  }

  let pass: Pass
  var digits = Digits.decimal
  /// Numbers are set apart from what is around them, and one that runs on into a word is none:
  /// `\d{1,3}(?=(?:\d{3})*\b)`.
  var isolates = false

  func nextPiece(in text: ScalarText, from start: Int, to end: Int, isOpen: Bool) -> SplitPiece {
    switch pass {
    case .beforeThrees: beforeThrees(text, start, end, isOpen)
    case .threes: threes(text, start, end, isOpen)
    }
  }

  private func beforeThrees(_ text: ScalarText, _ start: Int, _ end: Int, _ isOpen: Bool) -> SplitPiece {
    var position = start
    while position < end {
      guard isDigit(text, position, end) else {
        position += text.scalar(at: position, end: end).length
        continue
      }
      let run = Run(text, from: position, to: end, self)
      if isOpen, run.sawEnd { return position > start ? .openGap(end: position) : .undecided }
      if isolates {
        if run.continuesAsWord {
          position = run.end
          continue
        }
        if position > start { return .settled(end: position) }
        return .settled(end: run.count % 3 == 0 || run.count < 3 ? run.end : run.startOfThrees)
      }
      if run.count >= 3, run.startOfThrees > start { return .settled(end: run.startOfThrees) }
      position = run.end
    }
    return isOpen ? .openGap(end: end) : .settled(end: end)
  }

  private func threes(_ text: ScalarText, _ start: Int, _ end: Int, _ isOpen: Bool) -> SplitPiece {
    var position = start
    for _ in 0..<3 {
      if position == end { break }
      guard isDigit(text, position, end) else { return isOpen ? .openGap(end: end) : .settled(end: end) }
      position += text.scalar(at: position, end: end).length
    }
    if position < end, isDigit(text, position, end) { return .settled(end: position) }
    if isOpen { return .undecided }
    return .settled(end: end)
  }

  private func isDigit(_ text: ScalarText, _ position: Int, _ end: Int) -> Bool {
    let (value, _) = text.scalar(at: position, end: end)
    if value < 0x80 { return (0x30...0x39).contains(value) }
    guard text.classes[value].contains(.number) else { return false }
    switch digits {
    case .numbers: return true
    case .decimal: return Unicode.Scalar(value)?.properties.numericType == .decimal
    }
  }

  /// A run of digits.
  private struct Run {
    private(set) var count = 0
    private(set) var end: Int
    /// Where the digits begin that can be counted in threes.
    private(set) var startOfThrees: Int
    private(set) var sawEnd = false
    /// Whether what follows belongs to the same word (`\w`).
    private(set) var continuesAsWord = false

    init(_ text: ScalarText, from start: Int, to textEnd: Int, _ digits: DigitThrees) {
      var firsts = [start]
      end = start
      while end < textEnd, digits.isDigit(text, end, textEnd) {
        end += text.scalar(at: end, end: textEnd).length
        count += 1
        if count < 3 { firsts.append(end) }
      }
      startOfThrees = firsts[count % 3]
      sawEnd = end == textEnd
      if end < textEnd {
        let (value, _) = text.scalar(at: end, end: textEnd)
        let isAlphabetic = Unicode.Scalar(value)?.properties.isAlphabetic ?? false
        continuesAsWord = isAlphabetic || text.classes[value].contains(.mark) || Self.connectors.contains(value)
      }
    }

    /// `\p{Pc}`
    private static let connectors: Set<UInt32> = [
      0x5F, 0x203F, 0x2040, 0x2054, 0xFE33, 0xFE34, 0xFE4D, 0xFE4E, 0xFE4F, 0xFF3F,
    ]
  }
}
