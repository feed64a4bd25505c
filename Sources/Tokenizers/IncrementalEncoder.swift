/// Encodes text that arrives in pieces, as from an endless pipe, in bounded memory.
///
/// The ids are those of the whole text encoded at once, however it is cut into pieces: an id is given out as soon as no
/// text to come can change it. Only where text has no boundary for 64 KiB (one word, one run of spaces) is it cut there.
public struct IncrementalEncoder: Sendable {
  /// The most bytes that wait for a boundary.
  public static let longestWait = 1 << 16

  private let tokenizer: Tokenizer
  private let added: AddedTokenSearch
  private var words: WordEncoder
  private var stream = UTF8Stream()
  /// Text that may still turn out to be an added token, or to compose with what follows.
  private var raw: [UInt8] = []
  /// Prepared text that may still turn out to be an added token.
  private var prepared: [UInt8] = []
  /// Text whose words are not settled.
  private var section: [UInt8] = []
  private var startsText = true
  private var startsSection = true
  private var startsPiece = true
  private var skipsSpace = false
  private var skipsPreparedSpace = false

  public init(_ tokenizer: Tokenizer, special: Tokenizer.SpecialTokens = .plainText) {
    self.tokenizer = tokenizer
    added = tokenizer.addedTokens(special)
    words = WordEncoder(tokenizer)
  }

  /// The ids that are final with these bytes; they may end inside of a character.
  public mutating func append(_ bytes: some Sequence<UInt8>) -> [Int32] {
    raw.append(contentsOf: stream.append(bytes).utf8)
    drain(isOpen: true)
    return takeIDs()
  }

  public mutating func append(_ text: String) -> [Int32] { append(text.utf8) }

  /// The ids of what is left. After it a new text may start.
  public mutating func finish() -> [Int32] {
    raw.append(contentsOf: stream.finish().utf8)
    drain(isOpen: false)
    closeSection()
    (startsText, skipsSpace) = (true, false)
    return takeIDs()
  }

  private mutating func takeIDs() -> [Int32] {
    defer { words.ids.removeAll() }
    return words.ids
  }

  /// Moves text from `raw` to sections as far as it is certain what is an added token.
  private mutating func drain(isOpen: Bool) {
    var text: [UInt8] = []
    swap(&text, &raw)
    let rest = text.withUnsafeBufferPointer { text -> Int in
      var position = 0
      while position < text.count {
        if skipsSpace {
          position = ScalarText(text).endOfRun(of: .space, from: position, end: text.count)
          if position == text.count { break }
          skipsSpace = false
        }
        switch added.written.next(in: text, from: position, isOpen: isOpen) {
        case .token(let token, let start):
          let end = token.takesSpaceBefore ? Tokenizer.startOfSpace(text, before: start, from: position) : start
          feed(UnsafeBufferPointer(rebasing: text[position..<end]))
          closeSection()
          words.ids.append(token.id)
          skipsSpace = token.takesSpaceAfter
          startsText = false
          position = start + token.pattern.count
        case .none(let before):
          let end = isOpen ? settledEnd(text, from: position, before: before) : before
          feed(UnsafeBufferPointer(rebasing: text[position..<end]))
          return end
        }
      }
      return position
    }
    raw.append(contentsOf: text[rest...])
  }

  /// Where text may be cut before it is prepared: not before what could compose, nor before spaces of an added token.
  private func settledEnd(_ text: UnsafeBufferPointer<UInt8>, from start: Int, before end: Int) -> Int {
    var result = end
    if added.written.takesSpaceBefore { result = Tokenizer.startOfSpace(text, before: end, from: start) }
    if tokenizer.parts.characterMap != nil || tokenizer.parts.spaceRule.joins != nil {
      result = Self.lastWordEnd(text, from: start, to: result)
    } else if tokenizer.parts.composesCanonically {
      result = CanonicalComposition.lastBoundary(text, from: start, to: result)
    }
    // What waits is bounded, however long text goes on without such a place.
    return result <= start && text.count - start > Self.longestWait ? end : result
  }

  /// The last place before a space and after a printable character of ASCII: no map and no rule for spaces reaches
  /// across it.
  private static func lastWordEnd(_ text: UnsafeBufferPointer<UInt8>, from start: Int, to end: Int) -> Int {
    var position = end - 1
    while position > start {
      if text[position] == 0x20, (0x21...0x7E).contains(text[position - 1]) { return position }
      position -= 1
    }
    return start
  }

  /// Prepares text and encodes what of it is settled.
  private mutating func feed(_ text: UnsafeBufferPointer<UInt8>) {
    if text.isEmpty { return }
    tokenizer.prepare(text, startsSection: startsSection, into: &prepared)
    startsSection = false
    drainPrepared(isOpen: true)
  }

  /// Moves prepared text to words as far as it is certain what is an added token.
  private mutating func drainPrepared(isOpen: Bool) {
    var text: [UInt8] = []
    swap(&text, &prepared)
    let rest = text.withUnsafeBufferPointer { text -> Int in
      var position = 0
      while position < text.count {
        if skipsPreparedSpace {
          position = ScalarText(text).endOfRun(of: .space, from: position, end: text.count)
          if position == text.count { break }
          skipsPreparedSpace = false
        }
        switch added.normalized.next(in: text, from: position, isOpen: isOpen) {
        case .token(let token, let start):
          let end = token.takesSpaceBefore ? Tokenizer.startOfSpace(text, before: start, from: position) : start
          feedWords(UnsafeBufferPointer(rebasing: text[position..<end]))
          closePiece()
          words.ids.append(token.id)
          skipsPreparedSpace = token.takesSpaceAfter
          startsText = false
          position = start + token.pattern.count
        case .none(let before):
          var end = before
          if isOpen, added.normalized.takesSpaceBefore, text.count - position <= Self.longestWait {
            end = Tokenizer.startOfSpace(text, before: end, from: position)
          }
          feedWords(UnsafeBufferPointer(rebasing: text[position..<end]))
          return end
        }
      }
      return position
    }
    prepared.append(contentsOf: text[rest...])
  }

  /// Encodes what is settled of prepared text, never letting more than `longestWait` bytes wait.
  private mutating func feedWords(_ text: UnsafeBufferPointer<UInt8>) {
    if text.isEmpty { return }
    if tokenizer.prefixesPiece(text, startsPiece: startsPiece, startsText: startsText) { section.append(0x20) }
    startsPiece = false
    startsText = false
    var position = 0
    while position < text.count {
      var end = min(text.count, position + Self.longestWait - section.count)
      while end < text.count, text[end] & 0xC0 == 0x80 { end -= 1 }
      let isFull = end < text.count || section.count + end - position == Self.longestWait
      section.append(contentsOf: text[position..<end])
      position = end
      let done = section.withUnsafeBufferPointer { words.encode($0, isOpen: true) }
      if done == 0 && isFull { encodeSection() } else { section.removeFirst(done) }
    }
  }

  private mutating func encodeSection() {
    _ = section.withUnsafeBufferPointer { words.encode($0, isOpen: false) }
    section.removeAll(keepingCapacity: true)
  }

  private mutating func closePiece() {
    encodeSection()
    startsPiece = true
  }

  private mutating func closeSection() {
    drainPrepared(isOpen: false)
    closePiece()
    (startsSection, skipsPreparedSpace) = (true, false)
  }
}
