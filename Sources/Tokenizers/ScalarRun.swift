/// A set of scalars: classes, or ranges of a regular expression's brackets.
struct ScalarSet: Sendable {
  let classes: ScalarClass
  /// Ascending and apart.
  let ranges: [ClosedRange<UInt32>]

  /// Which scalars of ASCII are in the set, as bits; most text asks for nothing else.
  private let ascii: (low: UInt64, high: UInt64)

  init(classes: ScalarClass = [], ranges: [ClosedRange<UInt32>] = []) {
    self.classes = classes
    self.ranges = ranges
    var bits: (low: UInt64, high: UInt64) = (0, 0)
    for scalar in 0..<128 as Range<UInt32> {
      guard
        !ScalarClasses.shared[scalar].isDisjoint(with: classes) || ranges.contains(where: { $0.contains(scalar) })
      else { continue }
      if scalar < 64 { bits.low |= 1 << UInt64(scalar) } else { bits.high |= 1 << UInt64(scalar - 64) }
    }
    ascii = bits
  }

  @inline(__always)
  func contains(_ scalar: UInt32, _ scalarClass: ScalarClass) -> Bool {
    if scalar < 128 { return containsASCII(UInt8(truncatingIfNeeded: scalar)) }
    if !scalarClass.isDisjoint(with: classes) { return true }
    return !ranges.isEmpty && rangesContain(scalar)
  }

  /// As `contains`, for a byte below 128.
  @inline(__always)
  func containsASCII(_ byte: UInt8) -> Bool {
    (byte < 64 ? ascii.low : ascii.high) >> UInt64(byte & 63) & 1 != 0
  }

  /// The first scalar of the set at or after a position; `end` where there is none.
  @inline(__always)
  func first(in text: ScalarText, from start: Int, to end: Int) -> Int {
    var position = start
    while position < end {
      if text.bytes[position] < 0x80 {
        if containsASCII(text.bytes[position]) { break }
        position += 1
      } else {
        let (value, length) = text.scalar(at: position, end: end)
        if contains(value, text.classes[value]) { break }
        position += length
      }
    }
    return position
  }

  private func rangesContain(_ scalar: UInt32) -> Bool {
    var low = 0
    var high = ranges.count
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].upperBound < scalar { low = middle + 1 } else { high = middle }
    }
    return low < ranges.count && ranges[low].contains(scalar)
  }
}

/// `[set]{minimum,maximum}`, perhaps with `\s?` before it.
struct ScalarRun: Sendable {
  var set: ScalarSet
  var minimum = 1
  var maximum = Int.max
  var takesSpaceBefore = false

  /// The leftmost run at or after `start`: itself where it starts there, else the gap before it.
  func nextPiece(in text: ScalarText, from start: Int, to end: Int, isOpen: Bool) -> SplitPiece {
    var position = start
    while true {
      position = firstCandidate(in: text, from: position, to: end)
      if position >= end { return isOpen ? .openGap(end: end) : .settled(end: end) }
      let found = match(in: text, from: position, to: end)
      if isOpen && found.sawEnd { return position > start ? .openGap(end: position) : .undecided }
      if found.end > position { return .settled(end: position > start ? position : found.end) }
      position += text.scalar(at: position, end: end).length
    }
  }

  /// The first place where a run could start.
  @inline(__always)
  private func firstCandidate(in text: ScalarText, from start: Int, to end: Int) -> Int {
    takesSpaceBefore ? start : set.first(in: text, from: start, to: end)
  }

  func match(in text: ScalarText, from start: Int, to end: Int) -> SplitMatch {
    if takesSpaceBefore {
      let (value, length) = text.scalarClass(at: start, end: end)
      if value.contains(.space) {
        if start + length == end { return SplitMatch(end: matchRun(text, start, end).end, sawEnd: true) }
        let run = matchRun(text, start + length, end)
        if run.sawEnd || run.end > start + length { return run }
      }
    }
    return matchRun(text, start, end)
  }

  @inline(__always)
  private func matchRun(_ text: ScalarText, _ start: Int, _ end: Int) -> SplitMatch {
    var position = start
    var count = 0
    while count < maximum {
      if position == end { return SplitMatch(end: count >= minimum ? end : start, sawEnd: count > 0) }
      let (value, length) = text.scalar(at: position, end: end)
      if !set.contains(value, text.classes[value]) { break }
      position += length
      count += 1
    }
    return SplitMatch(end: count >= minimum ? position : start, sawEnd: false)
  }
}

extension ScalarRun {
  /// `\p{N}`, each digit apart.
  static let digit = Self(set: ScalarSet(classes: .number), maximum: 1)
  /// `\p{N}+`
  static let digits = Self(set: ScalarSet(classes: .number))
  /// `\p{N}{1,3}`
  static let threeDigits = Self(set: ScalarSet(classes: .number), maximum: 3)
  /// `[0-9][0-9][0-9]`
  static let exactlyThreeDigits = Self(set: ScalarSet(ranges: [0x30...0x39]), minimum: 3, maximum: 3)
  /// `[\r\n]`, each apart.
  static let lineBreak = Self(set: ScalarSet(ranges: [0x0A...0x0A, 0x0D...0x0D]), maximum: 1)
  /// `` [\p{P}\$\+<=>\^~\|`]+ ``: all punctuation and the symbols of ASCII.
  static let punctuation = Self(
    set: ScalarSet(classes: .punctuation, ranges: symbolsBeforeGrave + [0x60...0x60] + symbolsAfterGrave))
  /// `[\p{P}\$\+<=>\^~\|]+`: the same without the grave accent.
  static let punctuationWithoutGrave = Self(
    set: ScalarSet(classes: .punctuation, ranges: symbolsBeforeGrave + symbolsAfterGrave))

  /// ``[\p{P}!-/:-@\[-`{-~]``, each apart.
  static let onePunctuation = Self(
    set: ScalarSet(classes: .punctuation, ranges: [0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E]), maximum: 1)

  private static let symbolsBeforeGrave: [ClosedRange<UInt32>] = [0x24...0x24, 0x2B...0x2B, 0x3C...0x3E, 0x5E...0x5E]
  private static let symbolsAfterGrave: [ClosedRange<UInt32>] = [0x7C...0x7C, 0x7E...0x7E]
  /// `\s?\p{L}+`
  static let spacedLetters = Self(set: ScalarSet(classes: .letter), takesSpaceBefore: true)
  /// `\s?\p{P}+`
  static let spacedPunctuation = Self(set: ScalarSet(classes: .punctuation), takesSpaceBefore: true)
  /// The same three for the lists of `DeepSeekRanges`.
  static let spacedCasedLetters = Self(set: ScalarSet(ranges: DeepSeekRanges.casedLetters), takesSpaceBefore: true)
  static let spacedWidePunctuation = Self(set: ScalarSet(ranges: DeepSeekRanges.punctuation), takesSpaceBefore: true)
  static let wideLetters = Self(set: ScalarSet(ranges: DeepSeekRanges.wideLetters))
  /// `[一-龥぀-ゟ゠-ヿ]+`
  static let hanAndKana = Self(set: ScalarSet(ranges: DeepSeekRanges.hanAndKana))
}

/// `\s+$`
enum TrailingSpacePattern {
  /// Looks from the end, since a search from the start would read a long run inside of the text once for each character.
  static func nextPiece(in text: ScalarText, from start: Int, to end: Int, isOpen: Bool) -> SplitPiece {
    let runStart = Tokenizer.startOfSpace(text.bytes, before: end, from: start)
    if isOpen { return runStart > start ? .openGap(end: runStart) : .undecided }
    return .settled(end: runStart > start ? runStart : end)
  }
}

/// A character and all that follow it up to a space.
enum SpacePattern {
  static func match(in text: ScalarText, from start: Int, to end: Int) -> SplitMatch {
    var position = start + 1
    while position < end, text.bytes[position] != 0x20 { position += 1 }
    return SplitMatch(end: position, sawEnd: position == end)
  }
}

/// Runs of the bytes whose character in the byte alphabet is a number: the digits, and ² ³ ¹ ¼ ½ ¾ of Latin-1, which
/// there stand for bytes inside of longer characters.
enum ByteDigitsPattern {
  static func match(in text: ScalarText, from start: Int, to end: Int, maximum: Int) -> SplitMatch {
    var position = start
    while position - start < maximum {
      if position == end { return SplitMatch(end: end, sawEnd: position > start) }
      switch text.bytes[position] {
      case 0x30...0x39, 0xB2, 0xB3, 0xB9, 0xBC...0xBE: position += 1
      default: return SplitMatch(end: position, sawEnd: false)
      }
    }
    return SplitMatch(end: position, sawEnd: false)
  }
}
