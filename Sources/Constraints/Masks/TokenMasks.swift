/// Which tokens may follow, for one grammar and one vocabulary; what was found is kept for all texts.
///
/// What a token does until it leaves the innermost array, object or string depends on the innermost set of states alone. That part
/// is found once by a walk over the tree of tokens, and kept with the places where tokens leave; only what is behind these is
/// walked for each text, by the sets in which its rules were opened. Strings that are far from their bounds share one mask.
struct TokenMasks {
  /// The tokens that stay inside, and those that leave.
  private struct Local {
    /// Bits by token; empty where `tokens` has them.
    var words: [UInt64] = []
    var tokens: [Int32] = []
    /// Nodes of the tree at which rules are closed.
    var exits: [(node: Int32, completion: Int32)] = []

    var bytes: Int { 8 * words.count + 4 * tokens.count + 8 * exits.count + 100 }
  }

  let trie: TokenTrie
  var sets: StateSets
  private var locals: [Int32: Local] = [:]
  private var localBytes = 0
  // Of the walk, by depth: set, frame, frames made so far, and levels above the text's.
  private var walkSets: [Int32]
  private var walkFrames: [Int32]
  private var walkFrameCounts: [Int]
  private var walkLevels: [Int32]
  /// Rules that the token at hand has opened: the set in which they were, and the frame below; negative frames are the text's.
  private var frames: [(set: Int32, below: Int32)] = []
  private var found: [Int32] = []
  private var exits: [(node: Int32, completion: Int32)] = []

  static let byteLimit = 16 << 20

  /// Masks that are kept.
  var count: Int { locals.count }

  /// Bytes of what was found, about.
  var bytes: Int { localBytes + sets.bytes }

  /// The most rules that one token may open inside each other.
  private static let tokenLevels: Int32 = 32

  init(_ grammar: Grammar, _ trie: TokenTrie) {
    self.trie = trie
    sets = StateSets(grammar)
    walkSets = [Int32](repeating: 0, count: trie.longest + 1)
    walkFrames = walkSets
    walkLevels = walkSets
    walkFrameCounts = [Int](repeating: 0, count: trie.longest + 1)
  }

  /// Levels that a text at a depth may still open; nil where no token comes near the end of them.
  func levelsLeft(at depth: Int) -> Int32? {
    let left = Grammar.depthLimit - Int32(depth)
    return left < sets.grammar.largestHeight + Self.tokenLevels ? left : nil
  }

  /// Sets the bits of the tokens that may follow.
  ///
  /// - Parameters:
  ///   - set: the innermost set of states
  ///   - outer: the sets in which the open rules were opened, the innermost one last
  ///   - words: a bit a token, all zero
  mutating func mark(_ set: Int32, _ outer: [Int32], _ words: inout [UInt64]) {
    if let left = levelsLeft(at: outer.count) {
      found.removeAll(keepingCapacity: true)
      walk(0, trie.bytes.count, set, parentDepth: 0, outer: outer, levelsLeft: left)
      for token in found { words[Int(token >> 6)] |= 1 << UInt64(token & 63) }
    } else {
      markByParts(set, outer, &words)
    }
    for id in sets.specials(of: set) where Int(id) < trie.vocabularySize { words[Int(id >> 6)] |= 1 << UInt64(id & 63) }
    if outer.isEmpty, sets.isAccepting(set) {
      for id in trie.ends { words[Int(id >> 6)] |= 1 << UInt64(id & 63) }
    }
  }

  private mutating func markByParts(_ set: Int32, _ outer: [Int32], _ words: inout [UInt64]) {
    let key = sets.representative(of: set, length: trie.longest)
    guard key >= 0 else { return }
    if locals[key] == nil { findLocal(key) }
    guard let local = locals[key] else { return }
    if !local.words.isEmpty {
      for index in words.indices { words[index] |= local.words[index] }
    }
    for token in local.tokens { words[Int(token >> 6)] |= 1 << UInt64(token & 63) }
    guard let innermost = outer.last else { return }
    found.removeAll(keepingCapacity: true)
    // Most exits close the same rules.
    var (last, next) = (StateSets.none, StateSets.none)
    for (node, completion) in local.exits {
      if completion != last { (last, next) = (completion, sets.resume(innermost, after: completion)) }
      guard next >= 0 else { continue }
      found.append(contentsOf: trie.tokens(at: Int(node)))
      let (first, end) = (Int(node) + 1, Int(trie.subtreeEnds[Int(node)]))
      guard first < end else { continue }
      walk(first, end, next, parentDepth: Int(trie.depths[Int(node)]), outer: outer, leaves: 1, levelsLeft: nil)
    }
    for token in found { words[Int(token >> 6)] |= 1 << UInt64(token & 63) }
  }

  private mutating func findLocal(_ set: Int32) {
    found.removeAll(keepingCapacity: true)
    exits.removeAll(keepingCapacity: true)
    walk(0, trie.bytes.count, set, parentDepth: 0, outer: nil, levelsLeft: nil)
    var local = Local()
    local.exits = exits
    if found.count > trie.vocabularySize / 32 {
      local.words = [UInt64](repeating: 0, count: (trie.vocabularySize + 63) / 64)
      for token in found { local.words[Int(token >> 6)] |= 1 << UInt64(token & 63) }
    } else {
      local.tokens = found
    }
    localBytes += local.bytes
    if localBytes > Self.byteLimit {
      locals.removeAll(keepingCapacity: true)
      localBytes = local.bytes
    }
    locals[set] = local
  }

  /// Walks over nodes of the tree, adding tokens to `found`.
  ///
  /// - Parameters:
  ///   - outer: the text's outer sets; nil notes in `exits` where they are needed
  ///   - leaves: how many of them have been left
  ///   - levelsLeft: levels that may still be opened; nil where the bound on a token's is enough
  private mutating func walk(
    _ first: Int, _ end: Int, _ set: Int32, parentDepth: Int, outer: [Int32]?, leaves: Int32 = 0, levelsLeft: Int32?
  ) {
    let trie = trie
    frames.removeAll(keepingCapacity: true)
    walkSets[parentDepth] = set
    walkFrames[parentDepth] = -1 - leaves
    walkFrameCounts[parentDepth] = 0
    walkLevels[parentDepth] = 0
    var node = first
    while node < end {
      let depth = Int(trie.depths[node])
      let current = walkSets[depth - 1]
      var frame = walkFrames[depth - 1]
      var level = walkLevels[depth - 1]
      var frameCount = walkFrameCounts[depth - 1]
      var next: Int32
      switch sets.step(current, trie.bytes[node]) {
      case .dead: next = StateSets.none
      case .inside(let set): next = set
      case .opens(let set):
        (next, level) = (set, level + 1)
        if level > Self.tokenLevels { next = StateSets.none }
        frames.removeLast(frames.count - frameCount)
        frames.append((current, frame))
        frame = Int32(frameCount)
        frameCount += 1
      case .closes(let completion):
        level -= 1
        if frame >= 0 {
          let opened = frames[Int(frame)]
          next = sets.resume(opened.set, after: completion)
          frame = opened.below
        } else if let outer {
          let index = outer.count + Int(frame)
          next = index >= 0 ? sets.resume(outer[index], after: completion) : StateSets.none
          frame -= 1
        } else {
          exits.append((Int32(node), completion))
          next = StateSets.none
        }
      }
      if let levelsLeft, next >= 0 { next = sets.limited(next, toHeight: levelsLeft - level) }
      guard next >= 0 else {
        node = Int(trie.subtreeEnds[node])
        continue
      }
      walkSets[depth] = next
      walkFrames[depth] = frame
      walkLevels[depth] = level
      walkFrameCounts[depth] = frameCount
      found.append(contentsOf: trie.tokens(at: node))
      node += 1
    }
  }
}
