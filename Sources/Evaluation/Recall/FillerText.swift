import Engine

/// Text around what is to be recalled, cut at whole sentences: novels, or sentences made for the purpose.
package struct FillerText: Sendable {
  /// The texts one after the other, each white space a single blank.
  private var bytes: [UInt8] = []
  private var sentences: [Range<Int>] = []
  /// The sentences of each text.
  private var texts: [Range<Int>] = []

  /// Longer ones are cut at a blank, so that even a text without full stops fills a prompt evenly.
  static let longestSentence = 1000

  package init() {}

  /// Adds a text in UTF-8; false where it is blank.
  package mutating func append(_ text: [UInt8]) -> Bool {
    let start = bytes.count
    var isBlank = true
    for byte in text {
      let isSpace = byte == 0x20 || (0x09...0x0D).contains(byte)
      if isSpace, isBlank { continue }
      bytes.append(isSpace ? 0x20 : byte)
      isBlank = isSpace
    }
    if isBlank, bytes.count > start { bytes.removeLast() }
    let firstSentence = sentences.count
    var next = start
    while next < bytes.count {
      let end = endOfSentence(from: next)
      sentences.append(next..<end)
      next = end < bytes.count && bytes[end] == 0x20 ? end + 1 : end
    }
    guard sentences.count > firstSentence else { return false }
    texts.append(firstSentence..<sentences.count)
    return true
  }

  /// Successive sentences of one text from a random place on, from its start again after its end, until `body` returns
  /// false.
  ///
  /// - Precondition: there is a text.
  func forEachSentence(from random: inout RandomSource, _ body: (String) -> Bool) {
    var next = random.below(sentences.count)
    let text = texts[texts.firstIndex { $0.contains(next) } ?? 0]
    while body(String(decoding: bytes[sentences[next]], as: UTF8.self)) {
      next = next + 1 < text.upperBound ? next + 1 : text.lowerBound
    }
  }

  /// One past the last byte of the sentence: a full stop, question or exclamation mark with the quotes after it.
  private func endOfSentence(from start: Int) -> Int {
    let limit = min(bytes.count, start + Self.longestSentence)
    var place = start
    while place < limit {
      let byte = bytes[place]
      place += 1
      guard byte == UInt8(ascii: ".") || byte == UInt8(ascii: "!") || byte == UInt8(ascii: "?") else { continue }
      let end = skipClosing(from: place)
      guard end == bytes.count || bytes[end] == 0x20 else { continue }
      // As in: "Why?" she asked.
      if end + 1 < bytes.count, (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(bytes[end + 1]) { continue }
      if byte != UInt8(ascii: ".") || !isAbbreviation(bytes[start..<place - 1]) { return end }
    }
    guard limit < bytes.count else { return limit }
    if let blank = bytes[start..<limit].lastIndex(of: 0x20), blank > start { return blank }
    // Not within a character.
    return (limit - 3...limit).last { bytes[$0] & 0xC0 != 0x80 } ?? limit
  }

  /// Skips quotes and brackets that close, typewritten or typeset.
  private func skipClosing(from start: Int) -> Int {
    var place = start
    while place < bytes.count {
      if "\"')]*_".utf8.contains(bytes[place]) {
        place += 1
      } else if bytes[place...].starts(with: [0xE2, 0x80, 0x99]) || bytes[place...].starts(with: [0xE2, 0x80, 0x9D]) {
        place += 3
      } else {
        break
      }
    }
    return place
  }

  /// Whether the text before a full stop ends in a title or an initial.
  private func isAbbreviation(_ text: ArraySlice<UInt8>) -> Bool {
    let word = String(
      decoding: text.suffix(5).split(separator: 0x20, omittingEmptySubsequences: false).last ?? [], as: UTF8.self)
    return ["Mr", "Mrs", "Ms", "Dr", "St", "Rev", "Hon", "Capt", "Col", "Gen"].contains(word)
      || (word.count == 1 && word != "I" && word.first?.isUppercase == true)
  }
}

extension RandomSource {
  /// A whole number from 0 to `count` - 1, the same in every version of Swift.
  mutating func below(_ count: Int) -> Int { min(Int(unit() * Double(count)), count - 1) }

  /// Five digits of which the first is not 0.
  mutating func fiveDigits() -> Int { 10_000 + below(90_000) }

  /// A source that only these numbers decide, so that a case does not depend on which others are made.
  init(seed: UInt64, _ parts: Int...) {
    var mixed = seed
    for part in parts {
      var source = RandomSource(seed: mixed ^ UInt64(truncatingIfNeeded: part))
      mixed = source.next()
    }
    self.init(seed: mixed)
  }
}
