/// Cuts a word into the tokens whose log probabilities add up to the most (Kudo 2018, "Subword Regularization", 3.2).
///
/// Viterbi's algorithm over the bytes of the word: every place is reached by the best of the tokens that end there. A
/// character that no token spells costs ten less than the worst token, as in SentencePiece. Time is proportional to the
/// word times the longest token.
struct UnigramModel: Sendable {
  /// Tokens of more bytes take no part, which bounds the time that a hostile vocabulary can take.
  private static let longestToken = 256
  private static let unknownPenalty = 10.0

  /// Node of the prefix and next byte to the next node and the token that ends there, plus 1 as the rank.
  private var trie: MergeTable
  private var nodes: Int32 = 1
  /// [id]
  private let scores: [Float]
  private let unknownScore: Double

  /// - Parameters:
  ///   - tokens: those that text can become
  ///   - scores: the log probability of each id
  init(_ tokens: [Int32], in pieces: Pieces, scores: [Float]) {
    self.scores = scores
    unknownScore = Double(tokens.map { scores[Int($0)] }.min() ?? 0) - Self.unknownPenalty
    trie = MergeTable(capacity: tokens.count * 4)
    for id in tokens {
      let range = pieces.range(of: id)
      if range.isEmpty || range.count > Self.longestToken { continue }
      pieces.withAllBytes { insert(id, UnsafeBufferPointer(rebasing: $0[range])) }
    }
  }

  private mutating func insert(_ id: Int32, _ piece: UnsafeBufferPointer<UInt8>) {
    var node: Int32 = 0
    for (index, byte) in piece.enumerated() {
      let isLast = index == piece.count - 1
      let found = trie.find(node, Int32(byte))
      if found.rank != MergeTable.noRank {
        // Of two tokens with the same bytes the first counts.
        if isLast, found.rank == 0 { trie.replaceRank(node, Int32(byte), with: UInt32(id) + 1) }
        node = found.result
      } else {
        trie.insert(left: node, right: Int32(byte), rank: isLast ? UInt32(id) + 1 : 0, result: nodes)
        node = nodes
        nodes += 1
      }
    }
  }

  /// What a search leaves at each place, kept between words.
  struct Workspace: Sendable {
    fileprivate var best: [Double] = []
    fileprivate var start: [Int32] = []
    fileprivate var token: [Int32] = []
  }

  /// A part of a word: a token, or characters that none spells.
  struct Part {
    var range: Range<Int>
    var token: Int32?
  }

  /// Calls `body` with the parts of the best path from left to right; unknown characters come one by one.
  func forEachPart(
    of word: UnsafeBufferPointer<UInt8>, _ workspace: inout Workspace, _ body: (Part) -> Void
  ) {
    search(word, &workspace)
    var ends: [Int] = []
    var end = word.count
    while end > 0 {
      ends.append(end)
      end = Int(workspace.start[end])
    }
    for end in ends.reversed() {
      let token = workspace.token[end]
      body(Part(range: Int(workspace.start[end])..<end, token: token < 0 ? nil : token))
    }
    // A word of a megabyte must not pin its memory.
    if word.count > 1 << 16 { workspace = Workspace() }
  }

  private func search(_ word: UnsafeBufferPointer<UInt8>, _ workspace: inout Workspace) {
    workspace.best.removeAll(keepingCapacity: true)
    workspace.start.removeAll(keepingCapacity: true)
    workspace.token.removeAll(keepingCapacity: true)
    for _ in 0...word.count {
      workspace.best.append(-.infinity)
      workspace.start.append(-1)
      workspace.token.append(-1)
    }
    workspace.best[0] = 0
    workspace.best.withUnsafeMutableBufferPointer { best in
      workspace.start.withUnsafeMutableBufferPointer { start in
        workspace.token.withUnsafeMutableBufferPointer { token in
          fill(word, best, start, token)
        }
      }
    }
  }

  private func fill(
    _ word: UnsafeBufferPointer<UInt8>, _ best: UnsafeMutableBufferPointer<Double>,
    _ start: UnsafeMutableBufferPointer<Int32>, _ token: UnsafeMutableBufferPointer<Int32>
  ) {
    let text = ScalarText(word)
    var position = 0
    @inline(__always)
    func reach(_ end: Int, _ score: Double, _ id: Int32) {
      guard start[end] < 0 || score > best[end] else { return }
      best[end] = score
      start[end] = Int32(position)
      token[end] = id
    }
    while position < word.count {
      let length = text.scalar(at: position, end: word.count).length
      let base = best[position]
      var isSpelled = false
      var node: Int32 = 0
      var end = position
      while end < word.count {
        let found = trie.find(node, Int32(word[end]))
        if found.rank == MergeTable.noRank { break }
        node = found.result
        end += 1
        guard found.rank > 0 else { continue }
        let id = Int32(found.rank - 1)
        reach(end, base + Double(scores[Int(id)]), id)
        if end - position == length { isSpelled = true }
      }
      if !isSpelled { reach(position + length, base + unknownScore, -1) }
      position += length
    }
  }
}
