/// A token that is looked for in the text before any other work.
struct AddedToken: Sendable {
  var id: Int32
  var content: [UInt8]
  /// White space before it belongs to it.
  var takesSpaceBefore = false
  /// White space after it belongs to it.
  var takesSpaceAfter = false
}

/// Finds added tokens in text, leftmost first, the longest where several start at one place.
struct AddedTokens: Sendable {
  /// By first byte, longest content first.
  private var byFirstByte = [[AddedToken]](repeating: [], count: 256)
  private(set) var isEmpty = true
  private(set) var takesSpaceBefore = false

  init(_ tokens: [AddedToken]) {
    for token in tokens.sorted(by: { $0.content.count > $1.content.count }) {
      guard let first = token.content.first else { continue }
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
        let available = min(token.content.count, text.count - position)
        guard available == token.content.count || isOpen else { continue }
        var matched = 1
        while matched < available, text[position + matched] == token.content[matched] { matched += 1 }
        if matched == token.content.count { return .token(token, start: position) }
        if matched == available && available < token.content.count { return .none(before: position) }
      }
      position += 1
    }
    return .none(before: text.count)
  }
}
