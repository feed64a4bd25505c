/// `[!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
///
/// Spark has `[\r\n]` in place of `[\r\n]*` and `\s*[\r\n]+`: each line break stands alone.
struct DeepSeek3Pattern: Sendable {
  var joinsLineBreaks = true

  func match(in text: ScalarText, from start: Int, to end: Int) -> SplitMatch {
    let (first, firstLength) = text.scalar(at: start, end: end)
    let firstClass = text.classes[first]
    let second = start + firstLength
    let isSymbol = !firstClass.isDisjoint(with: [.punctuation, .symbol])
    if isSymbol && first < 0x80 {
      if second == end { return SplitMatch(end: end, sawEnd: true) }
      let wordEnd = Self.endOfASCIILetters(text, from: second, to: end)
      if wordEnd > second { return SplitMatch(end: wordEnd, sawEnd: wordEnd == end) }
    }
    if !isSymbol && !firstClass.contains(.letter) && first != 0x0A && first != 0x0D {
      if second == end, !firstClass.contains(.mark) {
        return SplitMatch(end: firstClass.contains(.space) ? end : start, sawEnd: true)
      }
      let wordEnd = text.endOfRun(of: [.letter, .mark], from: second, end: end)
      if wordEnd > second { return SplitMatch(end: wordEnd, sawEnd: wordEnd == end) }
    }
    if !firstClass.isDisjoint(with: [.letter, .mark]) {
      let wordEnd = text.endOfRun(of: [.letter, .mark], from: start, end: end)
      return SplitMatch(end: wordEnd, sawEnd: wordEnd == end)
    }
    var symbols = start
    if first == 0x20, second < end { symbols = second }
    let symbolsEnd = text.endOfRun(of: [.punctuation, .symbol], from: symbols, end: end)
    if symbolsEnd > symbols {
      var position = symbolsEnd
      while joinsLineBreaks, position < end, text.bytes[position] == 0x0A || text.bytes[position] == 0x0D {
        position += 1
      }
      return SplitMatch(end: position, sawEnd: position == end)
    }
    if firstClass.contains(.space) {
      if joinsLineBreaks { return SpaceRun(in: text, from: start, to: end).throughLineBreaks }
      let isLineBreak = first == 0x0A || first == 0x0D
      return isLineBreak ? SplitMatch(end: second, sawEnd: false) : SpaceRun(in: text, from: start, to: end).withoutLast
    }
    return SplitMatch(end: start, sawEnd: false)
  }

  private static func endOfASCIILetters(_ text: ScalarText, from start: Int, to end: Int) -> Int {
    var position = start
    while position < end, (0x61...0x7A).contains(text.bytes[position] | 0x20) { position += 1 }
    return position
  }
}
