/// The text of a prompt, of which some parts come from outside and others are trusted to steer the model.
///
/// Special tokens are found in trusted text only: `<|im_end|>` in a user's message stays ten characters. Both kinds are
/// encoded together, so words are not cut where they meet.
package struct PromptText: Sendable, Hashable {
  /// All of it, UTF-8.
  package private(set) var bytes: [UInt8] = []
  /// The parts from outside, ascending.
  package private(set) var content: [Range<Int>] = []

  package init() {}

  /// Appends text.
  ///
  /// - Parameter isContent: whether it comes from outside
  package mutating func append(_ text: some StringProtocol, isContent: Bool) {
    let start = bytes.count
    bytes.append(contentsOf: text.utf8)
    guard isContent, start < bytes.count else { return }
    if let last = content.last, last.upperBound == start {
      content[content.count - 1] = last.lowerBound..<bytes.count
    } else {
      content.append(start..<bytes.count)
    }
  }

  /// Its start up to a byte.
  package func prefix(_ count: Int) -> PromptText {
    var start = PromptText()
    start.bytes = Array(bytes[..<count])
    start.content = content.compactMap { $0.lowerBound < count ? $0.lowerBound..<min(count, $0.upperBound) : nil }
    return start
  }

  /// The parts from outside within a range, counted from its start.
  func content(in range: Range<Int>) -> [Range<Int>] {
    content.filter { $0.overlaps(range) }.map {
      $0.clamped(to: range).lowerBound - range.lowerBound..<$0.clamped(to: range).upperBound - range.lowerBound
    }
  }

  /// What follows a byte.
  package func dropping(_ count: Int) -> PromptText {
    var rest = PromptText()
    rest.bytes = Array(bytes[count...])
    rest.content = content.compactMap {
      $0.upperBound > count ? max(0, $0.lowerBound - count)..<$0.upperBound - count : nil
    }
    return rest
  }
}

extension Tokenizer {
  /// The ids of a prompt's text, without `beginOfSequence`.
  ///
  /// Text between two added tokens is encoded by itself, so its ids can be remembered.
  ///
  /// - Parameters:
  ///   - startsText: whether nothing stands in front of it
  ///   - known: where ids of such texts are remembered
  package func encode(_ prompt: PromptText, startsText: Bool = true, known: EncodedPieces.Share? = nil) -> [Int32] {
    var words = WordEncoder(self)
    words.ids.reserveCapacity(prompt.bytes.count / 4)
    prompt.bytes.withUnsafeBufferPointer { text in
      forEachPart(of: text, prompt.content) { part in
        switch part {
        case .token(let token, _): words.ids.append(token.id)
        case .text(let start, let end):
          let encode = { (words: inout WordEncoder) in
            self.encode(text, start, end, prompt.content, startsText: startsText, &words)
          }
          guard let known, end - start >= EncodedPieces.shortest else { return encode(&words) }
          let piece = EncodedPieces.Piece(
            text[start..<end], isStart: startsText && start == 0,
            content: allAddedTokens.normalized.isEmpty ? [] : prompt.content(in: start..<end))
          if let ids = known.ids(of: piece) {
            words.ids.append(contentsOf: ids)
          } else {
            let count = words.ids.count
            encode(&words)
            known.note(piece, words.ids[count...])
          }
        }
      }
    }
    return words.ids
  }

  /// What a prompt's text says to the model, as symbols that can be compared: bytes, and 256 + id for special tokens.
  ///
  /// Two texts with equal symbols say the same, however they were cut into tokens.
  ///
  /// - Returns: symbols, and where in the text they stand
  package func symbols(_ prompt: PromptText) -> (symbols: [Int32], places: SymbolPlaces) {
    var symbols: [Int32] = []
    var places = SymbolPlaces()
    symbols.reserveCapacity(prompt.bytes.count)
    prompt.bytes.withUnsafeBufferPointer { text in
      func append(_ range: Range<Int>) {
        places.note(symbol: symbols.count, byte: range.lowerBound)
        symbols.append(contentsOf: text[range].lazy.map(Int32.init))
      }
      forEachPart(of: text, prompt.content) { part in
        switch part {
        case .token(let token, let start) where isSpecial(token.id):
          places.note(symbol: symbols.count, byte: start)
          symbols.append(256 + token.id)
        case .token(let token, let start): append(start..<start + token.pattern.count)
        case .text(let start, let end): append(start..<end)
        }
      }
    }
    places.note(symbol: symbols.count, byte: prompt.bytes.count)
    return (symbols, places)
  }

  /// What ids say to the model, as `symbols(_: PromptText)` does; broken UTF-8 says U+FFFD, as it does when it is decoded.
  package func symbols(_ ids: some Sequence<Int32>) -> [Int32] {
    var symbols: [Int32] = []
    var text: [UInt8] = []
    func endText() {
      symbols += String(decoding: text, as: UTF8.self).utf8.map(Int32.init)
      text = []
    }
    for id in ids {
      if isSpecial(id) {
        endText()
        symbols.append(256 + id)
      } else {
        text += piece(id)
      }
    }
    endText()
    return symbols
  }

  private enum PromptPart {
    case token(AddedToken, start: Int)
    case text(start: Int, end: Int)
  }

  /// Calls `body` with added tokens that may act where they stand, and what lies between them.
  private func forEachPart(
    of text: UnsafeBufferPointer<UInt8>, _ content: [Range<Int>], _ body: (PromptPart) -> Void
  ) {
    var (position, search, next) = (0, 0, 0)
    while position < text.count {
      guard case .token(let token, let start) = allowedToken(in: text, from: &search, content, &next) else {
        return body(.text(start: position, end: text.count))
      }
      let end = token.takesSpaceBefore ? Self.startOfSpace(text, before: start, from: position) : start
      if end > position { body(.text(start: position, end: end)) }
      body(.token(token, start: start))
      position = start + token.pattern.count
      if token.takesSpaceAfter {
        position = ScalarText(text).endOfRun(of: .space, from: position, end: text.count)
      }
      search = position
    }
  }

  /// The next added token that may act where it stands.
  ///
  /// - Parameters:
  ///   - search: where to look from; moved past what may not act
  ///   - next: the first part of `content` that does not end before it
  private func allowedToken(
    in text: UnsafeBufferPointer<UInt8>, from search: inout Int, _ content: [Range<Int>], _ next: inout Int
  ) -> AddedTokens.Finding {
    while case .token(let token, let start) = allAddedTokens.written.next(in: text, from: search, isOpen: false) {
      while next < content.count, content[next].upperBound <= start { next += 1 }
      let isOutside = next < content.count && content[next].lowerBound < start + token.pattern.count
      if !isOutside || !isSpecial(token.id) { return .token(token, start: start) }
      // A shorter one that anybody may write can begin at the same place.
      let place = UnsafeBufferPointer(rebasing: text[start..<start + token.pattern.count])
      if case .token(let plain, start: 0) = plainTextTokens.written.next(in: place, from: 0, isOpen: false) {
        return .token(plain, start: start)
      }
      search = start + 1
    }
    return .none(before: text.count)
  }

  /// Encodes text between added tokens.
  private func encode(
    _ text: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int, _ content: [Range<Int>], startsText: Bool,
    _ words: inout WordEncoder
  ) {
    func encode(_ start: Int, _ end: Int, _ normalized: AddedTokens) {
      encodeSection(text, start, end, normalized, isStart: startsText && start == 0, &words)
    }
    // Where prepared text came from is not known, so words are cut there for tokens that are looked for in it; few have any.
    guard !allAddedTokens.normalized.isEmpty else { return encode(start, end, plainTextTokens.normalized) }
    var position = start
    for range in content where range.upperBound > start && range.lowerBound < end {
      let (first, last) = (max(start, range.lowerBound), min(end, range.upperBound))
      encode(position, first, allAddedTokens.normalized)
      encode(first, last, plainTextTokens.normalized)
      position = last
    }
    encode(position, end, allAddedTokens.normalized)
  }
}
