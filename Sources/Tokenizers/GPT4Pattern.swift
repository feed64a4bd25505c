/// The patterns that descend from GPT-4's, which differ in a few places:
/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
struct GPT4Pattern: Sendable, Equatable {
  /// How words are made of letters.
  enum Words: Sendable {
    /// `\p{L}+`
    case letters
    /// `[\p{L}\p{M}]+`, with marks left out of the symbols.
    case lettersAndMarks
    /// Upper case before lower case: `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+` or the same with `+` and `*`.
    case cased
    /// `(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+`: words with single spaces between them in one piece.
    case phrases
  }

  /// What may follow symbols.
  enum AfterSymbols: Sendable {
    case nothing
    /// `[\r\n]*`
    case lineBreaks
    /// `[\r\n/]*`
    case lineBreaksAndSlashes
    /// `[\r\n/]?`
    case oneLineBreakOrSlash
  }

  /// Where the endings of English words are cut.
  enum Contractions: Sendable {
    case none
    /// As pieces of their own, before anything else.
    case apart
    /// At the end of the word before them.
    case attached
  }

  var words = Words.letters
  var contractions = Contractions.apart
  /// The most digits in a piece.
  var digits = 3
  var afterSymbols = AfterSymbols.lineBreaks
  /// Whether runs of Han characters come first and belong to no word.
  var separatesHan = false

  static let llama3 = Self()
  static let qwen2 = Self(digits: 1)
  static let seedCoder = Self(digits: 1, afterSymbols: .nothing)
  static let qwen35 = Self(words: .lettersAndMarks, digits: 1)
  static let gpt4o = Self(words: .cased, contractions: .attached, afterSymbols: .lineBreaksAndSlashes)
  static let kimi = Self(words: .cased, contractions: .attached, separatesHan: true)
  static let exaoneMoE = Self(words: .phrases, digits: 1, afterSymbols: .oneLineBreakOrSlash)
  static let tekken = Self(words: .cased, contractions: .none, digits: 1, afterSymbols: .lineBreaksAndSlashes)

  func match(in text: ScalarText, from start: Int, to end: Int) -> SplitMatch {
    let (first, firstLength) = text.scalar(at: start, end: end)
    guard contractions == .apart, first == UInt32(UInt8(ascii: "'")) else {
      return matchRun(in: text, from: start, to: end, first, firstLength)
    }
    let contraction = Contraction.match(in: text, from: start, to: end, ignoringCase: true)
    if contraction.end > start { return contraction }
    let run = matchRun(in: text, from: start, to: end, first, firstLength)
    return SplitMatch(end: run.end, sawEnd: run.sawEnd || contraction.sawEnd)
  }

  @inline(__always)
  private func matchRun(
    in text: ScalarText, from start: Int, to end: Int, _ first: UInt32, _ firstLength: Int
  ) -> SplitMatch {
    let firstClass = text.classes[first]
    if separatesHan, HanCharacters.contains(first) {
      let runEnd = HanCharacters.endOfRun(in: text, from: start, to: end)
      return SplitMatch(end: runEnd, sawEnd: runEnd == end)
    }
    if let word = matchWord(in: text, from: start, to: end, first, firstLength, firstClass) { return word }
    if firstClass.contains(.number) { return matchDigits(in: text, from: start, to: end) }
    var symbols = start
    if first == 0x20, start + 1 < end { symbols = start + 1 }
    let symbolClass = symbols == start ? firstClass : text.scalarClass(at: symbols, end: end).value
    let noSymbol: ScalarClass =
      words == .lettersAndMarks ? [.space, .letter, .number, .mark] : [.space, .letter, .number]
    if symbolClass.isDisjoint(with: noSymbol) {
      return matchSymbols(in: text, from: symbols, to: end, without: noSymbol)
    }
    return SpaceRun(in: text, from: start, to: end).throughLineBreaks
  }

  private func matchDigits(in text: ScalarText, from start: Int, to end: Int) -> SplitMatch {
    var position = start
    for _ in 0..<digits {
      if position == end { return SplitMatch(end: end, sawEnd: true) }
      let (value, length) = text.scalarClass(at: position, end: end)
      if !value.contains(.number) { break }
      position += length
    }
    return SplitMatch(end: position, sawEnd: false)
  }

  private func matchSymbols(
    in text: ScalarText, from start: Int, to end: Int, without noSymbol: ScalarClass
  ) -> SplitMatch {
    var position = text.endOfRun(without: noSymbol, from: start, end: end)
    var allowed = afterSymbols == .nothing ? 0 : afterSymbols == .oneLineBreakOrSlash ? 1 : Int.max
    while position < end, allowed > 0 {
      let byte = text.bytes[position]
      let isSlash = byte == UInt8(ascii: "/") && afterSymbols != .lineBreaks
      guard byte == 0x0A || byte == 0x0D || isSlash else { break }
      position += 1
      allowed -= 1
    }
    if allowed == 0, afterSymbols == .oneLineBreakOrSlash { return SplitMatch(end: position, sawEnd: false) }
    return SplitMatch(end: position, sawEnd: position == end)
  }

  /// A word with the character that may stand before it, or nil where none starts here.
  private func matchWord(
    in text: ScalarText, from start: Int, to end: Int, _ first: UInt32, _ firstLength: Int, _ firstClass: ScalarClass
  ) -> SplitMatch? {
    let mayPrecede = first != 0x0A && first != 0x0D && firstClass.isDisjoint(with: [.letter, .number])
    let bodyStart = start + firstLength
    if mayPrecede && bodyStart == end { return SplitMatch(end: end, sawEnd: true) }
    switch words {
    case .letters:
      return matchRun(of: .letter, in: text, from: mayPrecede ? bodyStart : start, to: end)
    case .lettersAndMarks:
      if mayPrecede, let word = matchRun(of: [.letter, .mark], in: text, from: bodyStart, to: end) { return word }
      return matchRun(of: [.letter, .mark], in: text, from: start, to: end)
    case .phrases:
      return matchPhrase(in: text, from: mayPrecede ? bodyStart : start, to: end)
    case .cased:
      // Both alternatives try the character before the word first, and the second comes after all of the first.
      for endsInSmallLetter in [true, false] {
        if mayPrecede, let word = matchCased(in: text, from: bodyStart, to: end, endsInSmallLetter) { return word }
        if let word = matchCased(in: text, from: start, to: end, endsInSmallLetter) { return word }
      }
      return nil
    }
  }

  @inline(__always)
  private func matchRun(
    of classes: ScalarClass, in text: ScalarText, from start: Int, to end: Int
  ) -> SplitMatch? {
    let runEnd = text.endOfRun(of: classes, from: start, end: end)
    return runEnd == start ? nil : SplitMatch(end: runEnd, sawEnd: runEnd == end)
  }

  /// As many capitals as there are, then as many small letters; letters without case and marks count as both.
  private func matchCased(
    in text: ScalarText, from start: Int, to end: Int, _ endsInSmallLetter: Bool
  ) -> SplitMatch? {
    var position = start
    var endOfLastSmall = start
    while position < end {
      let (value, length) = text.scalarClass(at: position, end: end)
      if value.isDisjoint(with: [.letter, .mark]) || value.contains(.lower) { break }
      if separatesHan, isHan(text, position, end) { break }
      position += length
      if !value.contains(.upper) { endOfLastSmall = position }
    }
    let capitals = position
    while position < end {
      let (value, length) = text.scalarClass(at: position, end: end)
      if value.isDisjoint(with: [.letter, .mark]) || value.contains(.upper) { break }
      if separatesHan, isHan(text, position, end) { break }
      position += length
    }
    let sawEnd = position == end
    // Where no small letter follows, capitals are given back until one of them counts as small.
    if endsInSmallLetter && position == capitals { position = endOfLastSmall }
    if position == start { return nil }
    if sawEnd { return SplitMatch(end: position, sawEnd: true) }
    return contractions == .attached
      ? Contraction.match(in: text, from: position, to: end, ignoringCase: true)
      : SplitMatch(end: position, sawEnd: false)
  }

  @inline(__always)
  private func isHan(_ text: ScalarText, _ position: Int, _ end: Int) -> Bool {
    HanCharacters.contains(text.scalar(at: position, end: end).value)
  }

  /// Letters with their marks, and single spaces between them.
  private func matchPhrase(in text: ScalarText, from start: Int, to end: Int) -> SplitMatch? {
    var position = start
    while position < end {
      var next = position
      if position > start, text.bytes[position] == 0x20 { next += 1 }
      if next == end { break }
      let (value, length) = text.scalarClass(at: next, end: end)
      guard value.contains(.letter) else { return position == start ? nil : SplitMatch(end: position, sawEnd: false) }
      position = text.endOfRun(of: .mark, from: next + length, end: end)
    }
    return position == start ? nil : SplitMatch(end: position, sawEnd: true)
  }
}
