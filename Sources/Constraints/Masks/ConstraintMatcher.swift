/// A constraint with a vocabulary: what is found out of their states for one text serves all others.
///
/// Used by one thread at a time.
package final class ConstraintTable {
  package let constraint: Constraint
  package let trie: TokenTrie
  fileprivate var masks: TokenMasks

  package init(_ constraint: Constraint, _ trie: TokenTrie) {
    (self.constraint, self.trie) = (constraint, trie)
    masks = TokenMasks(constraint.grammar, trie)
  }

  /// Whether it has come to the end of its room; texts that need more cannot go on.
  package var isFull: Bool { masks.sets.isFull }

  /// Masks that are kept.
  var maskCount: Int { masks.count }

  /// Bytes that it holds, about.
  package var bytes: Int { masks.bytes }
}

/// Follows one text through a constraint: says which tokens may come next, and takes in the one that came.
///
/// In a steady state it allocates nothing.
package struct ConstraintMatcher {
  private let table: ConstraintTable
  /// The sets in which the open arrays, objects and strings were opened.
  private var outer: [Int32] = []
  private var set: Int32
  private var words: [UInt64]
  /// Sets that the bytes at hand have left, to be put back where they turn out not to be allowed.
  private var closed: [Int32] = []
  /// Whether an end token was taken in.
  package private(set) var hasEnded = false

  package init(_ table: ConstraintTable) {
    self.table = table
    set = table.masks.sets.start()
    words = [UInt64](repeating: 0, count: (table.trie.vocabularySize + 63) / 64)
    outer.reserveCapacity(Int(Grammar.depthLimit) + 1)
    closed.reserveCapacity(Int(Grammar.depthLimit) + 1)
  }

  /// Whether the text may end here.
  package var canEnd: Bool { outer.isEmpty && table.masks.sets.isAccepting(set) }

  /// Whether the constraint needed more room than it is given, so that it can no longer be followed.
  package var hasFailed: Bool { table.masks.sets.isFull }

  /// Forbids all other tokens: their logits become −∞.
  ///
  /// Logits beyond the tokenizer's vocabulary, which some models pad, are forbidden too.
  ///
  /// - Returns: whether any token is left.
  package mutating func mask(_ logits: UnsafeMutableBufferPointer<Float>) -> Bool {
    findMask()
    var any: UInt64 = 0
    for (index, word) in words.enumerated() {
      any |= word
      let first = index * 64
      if word == 0, first + 64 <= logits.count {
        for place in first..<first + 64 { logits[place] = -.infinity }
        continue
      }
      var forbidden = ~word
      while forbidden != 0 {
        let place = first + forbidden.trailingZeroBitCount
        if place < logits.count { logits[place] = -.infinity }
        forbidden &= forbidden - 1
      }
    }
    for place in min(words.count * 64, logits.count)..<logits.count { logits[place] = -.infinity }
    return any != 0
  }

  /// The tokens that may come next, ascending.
  package func allowedTokens() -> [Int32] {
    var copy = self
    copy.findMask()
    return (0..<Int32(table.trie.vocabularySize)).filter { copy.words[Int($0 >> 6)] >> UInt64($0 & 63) & 1 == 1 }
  }

  private mutating func findMask() {
    for index in words.indices { words[index] = 0 }
    if !hasEnded { table.masks.mark(set, outer, &words) }
  }

  /// Takes in the next token.
  ///
  /// - Returns: false where it is not allowed; the text is as before then.
  package mutating func accept(_ token: Int32) -> Bool {
    if hasEnded { return false }
    if table.trie.ends.contains(token), canEnd {
      hasEnded = true
      return true
    }
    let special = table.masks.sets.step(set, special: token)
    if special >= 0 {
      set = special
      return true
    }
    let piece = table.trie.piece(token)
    return !piece.isEmpty && accept(piece)
  }

  /// Takes in bytes; the text is as before where they are not allowed.
  package mutating func accept(_ bytes: some Swift.Sequence<UInt8>) -> Bool {
    let before = (set, outer.count)
    closed.removeAll(keepingCapacity: true)
    var kept = outer.count
    for byte in bytes where !follow(byte, &kept) {
      outer.removeLast(outer.count - kept)
      while let last = closed.popLast() { outer.append(last) }
      assert(outer.count == before.1)
      set = before.0
      return false
    }
    return true
  }

  /// - Parameter kept: how many of the sets of before are still there
  private mutating func follow(_ byte: UInt8, _ kept: inout Int) -> Bool {
    var next: Int32
    switch table.masks.sets.step(set, byte) {
    case .dead: return false
    case .inside(let inner): next = inner
    case .opens(let inner):
      guard outer.count < Int(Grammar.depthLimit) else { return false }
      outer.append(set)
      next = inner
    case .closes(let completion):
      guard let opened = outer.popLast() else { return false }
      if outer.count < kept {
        kept = outer.count
        closed.append(opened)
      }
      next = table.masks.sets.resume(opened, after: completion)
    }
    if let left = table.masks.levelsLeft(at: outer.count), next >= 0 {
      next = table.masks.sets.limited(next, toHeight: left)
    }
    guard next >= 0 else { return false }
    set = next
    return true
  }

  /// Bytes that must come next whatever the text becomes, at most `limit` of them.
  package func forcedBytes(limit: Int = 256) -> [UInt8] {
    var copy = self
    var bytes: [UInt8] = []
    while bytes.count < limit, !copy.canEnd, let byte = copy.onlyByte() {
      bytes.append(byte)
      _ = copy.accept(CollectionOfOne(byte))
    }
    return bytes
  }

  private func onlyByte() -> UInt8? {
    guard table.masks.sets.specials(of: set).isEmpty else { return nil }
    var only: UInt8?
    for byte in UInt8.min...UInt8.max {
      var copy = self
      guard copy.accept(CollectionOfOne(byte)) else { continue }
      if only != nil { return nil }
      only = byte
    }
    return only
  }
}
