extension Tokenizer {
  /// The ids of a text, without `beginOfSequence`.
  ///
  /// Time is proportional to the text, and n log n in a word without any place to cut it.
  public func encode(_ text: String, special: SpecialTokens = .plainText) -> [Int32] {
    var text = text
    return text.withUTF8 { encode(valid: $0, special) }
  }

  /// The ids of UTF-8 text; what is no valid UTF-8 counts as U+FFFD.
  public func encode(_ bytes: some Collection<UInt8>, special: SpecialTokens = .plainText) -> [Int32] {
    encode(String(decoding: bytes, as: UTF8.self), special: special)
  }

  private func encode(valid text: UnsafeBufferPointer<UInt8>, _ special: SpecialTokens) -> [Int32] {
    let added = addedTokens(special)
    var words = WordEncoder(self)
    words.ids.reserveCapacity(text.count / 4 + 1)
    var position = 0
    while position < text.count {
      let finding = added.written.next(in: text, from: position, isOpen: false)
      switch finding {
      case .none(let end):
        encodeSection(text, position, end, added.normalized, isStart: position == 0, &words)
        position = end
      case .token(let token, let start):
        let sectionEnd = token.takesSpaceBefore ? Self.startOfSpace(text, before: start, from: position) : start
        encodeSection(text, position, sectionEnd, added.normalized, isStart: position == 0, &words)
        words.ids.append(token.id)
        position = start + token.pattern.count
        if token.takesSpaceAfter {
          position = ScalarText(text).endOfRun(of: .space, from: position, end: text.count)
        }
      }
    }
    return words.ids
  }

  func addedTokens(_ special: SpecialTokens) -> AddedTokenSearch {
    switch special {
    case .plainText: plainTextTokens
    case .parse: allAddedTokens
    }
  }

  /// Where the white space that ends at `end` starts.
  static func startOfSpace(_ text: UnsafeBufferPointer<UInt8>, before end: Int, from start: Int) -> Int {
    let scalars = ScalarText(text)
    var result = end
    while result > start {
      var previous = result - 1
      while previous > start, text[previous] & 0xC0 == 0x80 { previous -= 1 }
      if !scalars.scalarClass(at: previous, end: result).value.contains(.space) { break }
      result = previous
    }
    return result
  }

  /// Encodes the text between two added tokens that are looked for as they are written.
  func encodeSection(
    _ text: UnsafeBufferPointer<UInt8>, _ start: Int, _ end: Int, _ normalized: AddedTokens, isStart: Bool,
    _ words: inout WordEncoder
  ) {
    if start == end { return }
    let section = UnsafeBufferPointer(rebasing: text[start..<end])
    if !needsPreparation, normalized.isEmpty {
      _ = words.encode(section, isOpen: false)
      return
    }
    var prepared: [UInt8] = []
    prepared.reserveCapacity(section.count + 1)
    prepare(section, startsSection: true, into: &prepared)
    prepared.withUnsafeBufferPointer { encodePrepared($0, normalized, isStart: isStart, &words) }
  }

  private func encodePrepared(
    _ text: UnsafeBufferPointer<UInt8>, _ normalized: AddedTokens, isStart: Bool, _ words: inout WordEncoder
  ) {
    var piece: [UInt8] = []
    func encode(_ start: Int, _ end: Int) {
      if start == end { return }
      let part = UnsafeBufferPointer(rebasing: text[start..<end])
      guard prefixesPiece(part, startsPiece: true, startsText: isStart && start == 0) else {
        _ = words.encode(part, isOpen: false)
        return
      }
      piece.removeAll(keepingCapacity: true)
      piece.append(0x20)
      piece.append(contentsOf: part)
      piece.withUnsafeBufferPointer { _ = words.encode($0, isOpen: false) }
    }
    var position = 0
    while position < text.count {
      switch normalized.next(in: text, from: position, isOpen: false) {
      case .none(let end):
        encode(position, end)
        position = end
      case .token(let token, let start):
        encode(position, token.takesSpaceBefore ? Self.startOfSpace(text, before: start, from: position) : start)
        words.ids.append(token.id)
        position = start + token.pattern.count
        if token.takesSpaceAfter {
          position = ScalarText(text).endOfRun(of: .space, from: position, end: text.count)
        }
      }
    }
  }

  private var needsPreparation: Bool {
    if case .never = parts.spacePrefix, parts.symbols == .bytes, !parts.composesCanonically { return false }
    return true
  }

  /// Whether a piece between added tokens gets a space in front from the pre-tokenizer.
  func prefixesPiece(_ text: UnsafeBufferPointer<UInt8>, startsPiece: Bool, startsText: Bool) -> Bool {
    if !startsPiece || text.isEmpty || text[0] == 0x20 { return false }
    switch parts.spacePrefix {
    case .never, .always: return false
    case .atStartUnlessPresent: return startsText
    case .unlessPresent: return true
    }
  }

  /// Appends text as a normalizer leaves it: in normal form, with its space in front, and U+2581 as the space it means.
  ///
  /// Where text is prepared in pieces they must meet where `IncrementalEncoder.settledEnd` says.
  func prepare(
    _ text: UnsafeBufferPointer<UInt8>, startsSection: Bool, into prepared: inout [UInt8]
  ) {
    if text.isEmpty { return }
    if startsSection, case .always = parts.spacePrefix { prepared.append(0x20) }
    let start = prepared.count
    if let map = parts.characterMap {
      map.append(text, to: &prepared)
    } else if parts.composesCanonically {
      CanonicalComposition.append(text, to: &prepared)
    } else {
      prepared.append(contentsOf: text)
    }
    parts.spaceRule.apply(to: &prepared, from: start, isStart: startsSection)
    if startsSection, prepared.count == start, case .always = parts.spacePrefix {
      prepared.removeLast()
      return
    }
    if parts.symbols == .scalars { Self.replaceLowerBlocks(&prepared, from: start) }
  }

  /// Turns U+2581, SentencePiece's sign for a space, into the space that it stands for.
  private static func replaceLowerBlocks(_ text: inout [UInt8], from start: Int) {
    var target = start
    var source = start
    while source < text.count {
      if text[source] == 0xE2, source + 2 < text.count, text[source + 1] == 0x96, text[source + 2] == 0x81 {
        text[target] = 0x20
        source += 3
      } else {
        text[target] = text[source]
        source += 1
      }
      target += 1
    }
    text.removeSubrange(target...)
  }
}
