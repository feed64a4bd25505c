/// A token that is looked for in the text before any other work.
struct AddedToken: Sendable {
  var id: Int32
  /// Its spelling.
  var content: [UInt8]
  /// What is looked for: the spelling, or what a normalizer makes of it.
  var pattern: [UInt8]
  /// Whether it is looked for in text that has been prepared, between the tokens that are looked for before.
  var isNormalized = false
  /// White space before it belongs to it.
  var takesSpaceBefore = false
  /// White space after it belongs to it.
  var takesSpaceAfter = false

  init(id: Int32, content: [UInt8]) {
    (self.id, self.content, pattern) = (id, content, content)
  }
}

/// Finds added tokens in text, leftmost first, the longest where several start at one place.
struct AddedTokens: Sendable {
  /// By first byte, longest content first.
  private var byFirstByte = [[AddedToken]](repeating: [], count: 256)
  private(set) var isEmpty = true
  private(set) var takesSpaceBefore = false

  init(_ tokens: [AddedToken]) {
    for token in tokens.sorted(by: { $0.pattern.count > $1.pattern.count }) {
      guard let first = token.pattern.first else { continue }
      byFirstByte[Int(first)].append(token)
      isEmpty = false
      if token.takesSpaceBefore { takesSpaceBefore = true }
    }
  }

  enum Finding {
    case token(AddedToken, start: Int)
    /// None starts before this place; with more text one may start there.
    case none(before: Int)
  }

  /// The first added token at or after `start`; with `isOpen` more text may follow.
  func next(in text: UnsafeBufferPointer<UInt8>, from start: Int, isOpen: Bool) -> Finding {
    if isEmpty { return .none(before: text.count) }
    var position = start
    while position < text.count {
      for token in byFirstByte[Int(text[position])] {
        let available = min(token.pattern.count, text.count - position)
        guard available == token.pattern.count || isOpen else { continue }
        var matched = 1
        while matched < available, text[position + matched] == token.pattern[matched] { matched += 1 }
        if matched == token.pattern.count { return .token(token, start: position) }
        if matched == available && available < token.pattern.count { return .none(before: position) }
      }
      position += 1
    }
    return .none(before: text.count)
  }
}

/// The added tokens that text is searched for: first as it is written, then what is left of it as it has been prepared.
struct AddedTokenSearch: Sendable {
  let written: AddedTokens
  let normalized: AddedTokens

  init(_ tokens: [AddedToken]) {
    written = AddedTokens(tokens.filter { !$0.isNormalized })
    normalized = AddedTokens(tokens.filter(\.isNormalized))
  }
}
