/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
enum GPT2Pattern {
  static func match(in text: ScalarText, from start: Int, to end: Int) -> SplitMatch {
    let first = text.scalar(at: start, end: end).value
    guard first == UInt32(UInt8(ascii: "'")) else { return matchRun(in: text, from: start, to: end, first) }
    let contraction = Contraction.match(in: text, from: start, to: end, ignoringCase: false)
    if contraction.end > start { return contraction }
    let run = matchRun(in: text, from: start, to: end, first)
    return SplitMatch(end: run.end, sawEnd: run.sawEnd || contraction.sawEnd)
  }

  @inline(__always)
  private static func matchRun(in text: ScalarText, from start: Int, to end: Int, _ first: UInt32) -> SplitMatch {
    var bodyStart = start
    var bodyClass = text.classes[first]
    if first == 0x20, start + 1 < end {
      let (next, _) = text.scalarClass(at: start + 1, end: end)
      if !next.contains(.space) {
        bodyStart = start + 1
        bodyClass = next
      }
    }
    let bodyEnd: Int
    if bodyClass.contains(.letter) {
      bodyEnd = text.endOfRun(of: .letter, from: bodyStart, end: end)
    } else if bodyClass.contains(.number) {
      bodyEnd = text.endOfRun(of: .number, from: bodyStart, end: end)
    } else if !bodyClass.contains(.space) {
      bodyEnd = text.endOfRun(without: [.space, .letter, .number], from: bodyStart, end: end)
    } else {
      return SpaceRun(in: text, from: start, to: end).withoutLast
    }
    return SplitMatch(end: bodyEnd, sawEnd: bodyEnd == end)
  }
}

/// The endings 's, 't, 're, 've, 'm, 'll and 'd of English words.
enum Contraction {
  static func match(in text: ScalarText, from start: Int, to end: Int, ignoringCase: Bool) -> SplitMatch {
    guard text.bytes[start] == UInt8(ascii: "'") else { return SplitMatch(end: start, sawEnd: false) }
    guard start + 1 < end else { return SplitMatch(end: start, sawEnd: true) }
    let first = letter(text.bytes[start + 1], ignoringCase)
    let second: UInt8
    switch first {
    case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"):
      return SplitMatch(end: start + 2, sawEnd: false)
    case UInt8(ascii: "r"), UInt8(ascii: "v"): second = UInt8(ascii: "e")
    case UInt8(ascii: "l"): second = UInt8(ascii: "l")
    default:
      // Case folding takes the long s for an s.
      if ignoringCase, text.bytes[start + 1] == 0xC5 {
        guard start + 2 < end else { return SplitMatch(end: start, sawEnd: true) }
        if text.bytes[start + 2] == 0xBF { return SplitMatch(end: start + 3, sawEnd: false) }
      }
      return SplitMatch(end: start, sawEnd: false)
    }
    guard start + 2 < end else { return SplitMatch(end: start, sawEnd: true) }
    let matches = letter(text.bytes[start + 2], ignoringCase) == second
    return SplitMatch(end: matches ? start + 3 : start, sawEnd: false)
  }

  @inline(__always)
  private static func letter(_ byte: UInt8, _ ignoringCase: Bool) -> UInt8 {
    ignoringCase && (0x41...0x5A).contains(byte) ? byte | 0x20 : byte
  }
}

/// A run of white space, as the patterns that end in `\s+(?!\S)|\s+` cut it.
struct SpaceRun {
  private let start: Int
  private let end: Int
  private let lastStart: Int
  private let textEnd: Int

  /// The end of the last CR or LF in the run, or `start`.
  private(set) var endOfLastLineBreak: Int

  init(in text: ScalarText, from start: Int, to textEnd: Int) {
    var position = start
    var lastStart = start
    var endOfLastLineBreak = start
    while position < textEnd {
      let (value, length) = text.scalar(at: position, end: textEnd)
      if !text.classes[value].contains(.space) { break }
      lastStart = position
      position += length
      if value == 0x0A || value == 0x0D { endOfLastLineBreak = position }
    }
    self.start = start
    self.end = position
    self.lastStart = lastStart
    self.textEnd = textEnd
    self.endOfLastLineBreak = endOfLastLineBreak
  }

  /// The whole run at the end of the text; before other text all but its last character, or that one alone.
  var withoutLast: SplitMatch {
    if end == textEnd { return SplitMatch(end: end, sawEnd: true) }
    return SplitMatch(end: lastStart > start ? lastStart : end, sawEnd: false)
  }

  /// `\s*[\r\n]+` where the run has a line break, else as `withoutLast`.
  var throughLineBreaks: SplitMatch {
    endOfLastLineBreak > start ? SplitMatch(end: endOfLastLineBreak, sawEnd: end == textEnd) : withoutLast
  }
}
