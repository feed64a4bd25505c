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
///
/// A trie, because vocabularies have thousands that begin alike (`<unused0>` and so on): a place costs as many steps as
/// its bytes agree with some token, and one step where no token starts.
struct AddedTokens: Sendable {
  private var tokens: [AddedToken] = []
  /// [first byte] the node after it; node 0 is none.
  private var roots = [Int32](repeating: 0, count: 256)
  /// Node and next byte (`node << 8 | byte`) to the node after.
  private var edges: [UInt64: Int32] = [:]
  /// [node] the place in `tokens` of the one that ends there, -1 where none does.
  private var ends: [Int32] = [-1]
  /// [node] whether longer tokens go on from it.
  private var goesOn: [Bool] = [false]
  private(set) var takesSpaceBefore = false

  var isEmpty: Bool { tokens.isEmpty }

  init(_ tokens: [AddedToken]) {
    for token in tokens where !token.pattern.isEmpty {
      var node = roots[Int(token.pattern[0])]
      if node == 0 {
        node = addNode()
        roots[Int(token.pattern[0])] = node
      }
      for byte in token.pattern.dropFirst() {
        let key = Self.key(node, byte)
        goesOn[Int(node)] = true
        if let next = edges[key] {
          node = next
        } else {
          let next = addNode()
          edges[key] = next
          node = next
        }
      }
      // Of two with the same spelling the first counts.
      if ends[Int(node)] >= 0 { continue }
      ends[Int(node)] = Int32(self.tokens.count)
      self.tokens.append(token)
      if token.takesSpaceBefore { takesSpaceBefore = true }
    }
  }

  private mutating func addNode() -> Int32 {
    ends.append(-1)
    goesOn.append(false)
    return Int32(ends.count - 1)
  }

  @inline(__always)
  private static func key(_ node: Int32, _ byte: UInt8) -> UInt64 {
    UInt64(UInt32(bitPattern: node)) << 8 | UInt64(byte)
  }

  enum Finding {
    case token(AddedToken, start: Int)
    /// None starts before this place; with more text one may start there.
    case none(before: Int)
  }

  /// The first added token at or after `start`; with `isOpen` more text may follow.
  func next(in text: UnsafeBufferPointer<UInt8>, from start: Int, isOpen: Bool) -> Finding {
    if isEmpty { return .none(before: text.count) }
    return roots.withUnsafeBufferPointer { roots in
      var position = start
      while position < text.count {
        var node = roots[Int(text[position])]
        var longest: Int32 = -1
        var end = position + 1
        while node != 0 {
          if ends[Int(node)] >= 0 { longest = ends[Int(node)] }
          if end == text.count {
            if isOpen && goesOn[Int(node)] { return .none(before: position) }
            break
          }
          if !goesOn[Int(node)] { break }
          node = edges[Self.key(node, text[end])] ?? 0
          end += 1
        }
        if longest >= 0 { return .token(tokens[Int(longest)], start: position) }
        position += 1
      }
      return .none(before: text.count)
    }
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
