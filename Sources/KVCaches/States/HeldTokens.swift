import Kernels

/// Which places of the stream the heads of a group held at one moment, stage by stage.
package struct HeldTokens: Sendable {
  /// Tokens that follow each other in the stream, and the share of the heads that hold them.
  package struct Run: Sendable, Hashable {
    package var tokens: Range<Int>
    package var share: Double
  }

  package struct Stage: Sendable {
    /// As plans spell it.
    package let name: String
    /// Whether tokens melt together in it, so that no slot is a token's.
    package let absorbs: Bool
    /// What all heads hold, by places in the stream; less than 0 where a slot is empty.
    fileprivate var shared: [Int64] = []
    /// What each head holds where heads choose.
    fileprivate var chosen: [[Int64]] = []
  }

  package let stages: [Stage]
  /// Heads of all layers that follow these stages.
  package let heads: Int
  /// Tokens that ever came.
  package let tokenCount: Int

  /// The runs of each stage, oldest first; that of a stage that absorbs is what no other stage holds.
  ///
  /// Costs the sorting of all tokens that heads hold.
  ///
  /// - Parameter limit: the most runs of a stage; where there are more, shares are means over parts of the stream of equal
  ///   length
  package func runs(limit: Int = 512) -> [[Run]] {
    var counts = stages.map { $0.counts(heads: heads) }
    if let absorber = stages.firstIndex(where: \.absorbs) {
      counts[absorber] = Self.rest(of: counts.flatMap { $0 }, heads: heads, tokenCount: tokenCount)
    }
    return counts.map { counts in
      let runs = joined(counts)
      return runs.count <= limit ? runs : averaged(counts, parts: limit)
    }
  }

  private func joined(_ counts: [(tokens: Range<Int>, heads: Int)]) -> [Run] {
    var runs: [Run] = []
    for (tokens, count) in counts { Self.append(tokens, Double(count) / Double(heads), to: &runs) }
    return runs
  }

  private static func append(_ tokens: Range<Int>, _ share: Double, to runs: inout [Run]) {
    if let last = runs.last, last.tokens.upperBound == tokens.lowerBound, last.share == share {
      runs[runs.count - 1].tokens = last.tokens.lowerBound..<tokens.upperBound
    } else {
      runs.append(Run(tokens: tokens, share: share))
    }
  }

  private func averaged(_ counts: [(tokens: Range<Int>, heads: Int)], parts: Int) -> [Run] {
    let length = (tokenCount + parts - 1) / parts
    var sums = [Int](repeating: 0, count: parts)
    for (tokens, count) in counts {
      var first = tokens.lowerBound
      while first < tokens.upperBound {
        let last = min(tokens.upperBound, (first / length + 1) * length)
        sums[first / length] += count * (last - first)
        first = last
      }
    }
    var runs: [Run] = []
    for (part, sum) in sums.enumerated() where sum > 0 {
      let tokens = part * length..<min(tokenCount, (part + 1) * length)
      Self.append(tokens, Double(sum) / Double(heads * tokens.count), to: &runs)
    }
    return runs
  }

  /// What is left of all tokens by those that heads hold apart.
  private static func rest(
    of counts: [(tokens: Range<Int>, heads: Int)], heads: Int, tokenCount: Int
  ) -> [(tokens: Range<Int>, heads: Int)] {
    var rest: [(tokens: Range<Int>, heads: Int)] = []
    var next = 0
    for (tokens, count) in counts.sorted(by: { $0.tokens.lowerBound < $1.tokens.lowerBound }) {
      if next < tokens.lowerBound { rest.append((next..<tokens.lowerBound, heads)) }
      if count < heads { rest.append((tokens, heads - count)) }
      next = max(next, tokens.upperBound)
    }
    if next < tokenCount { rest.append((next..<tokenCount, heads)) }
    return rest
  }
}

extension HeldTokens.Stage {
  /// How many heads hold which tokens, ascending.
  fileprivate func counts(heads: Int) -> [(tokens: Range<Int>, heads: Int)] {
    var counts: [(tokens: Range<Int>, heads: Int)] = []
    let sorted = (shared + chosen.joined()).filter { $0 >= 0 }.sorted()
    let weight = chosen.isEmpty ? heads : 1
    for token in sorted {
      let token = Int(token)
      if let last = counts.last, last.tokens.lowerBound == token {
        counts[counts.count - 1].heads += weight
      } else {
        counts.append((token..<token + 1, weight))
      }
    }
    return counts
  }
}

extension KVCache {
  /// What the cache holds of the stream now, group by group, those that keep most first.
  ///
  /// Copies a number for each slot, in every head of a cache that scores its tokens.
  ///
  /// - Returns: nil where tokens are not recorded (`recordTokens`), or are no longer: a snapshot does not say which tokens
  ///   it holds.
  package func tokensByStage() -> [HeldTokens]? {
    var held: [HeldTokens] = []
    for group in groups {
      guard let record = group.state(TokenRecord.self) else { return nil }
      held.append(record.held(by: group))
    }
    return held
  }

  /// Bytes of the record of tokens, which `bytes` does not count.
  package var tokenRecordBytes: Int { groups.reduce(0) { $0 + ($1.state(TokenRecord.self)?.content.bytes ?? 0) } }
}

extension TokenRecord {
  fileprivate func held(by group: HeadGroup) -> HeldTokens {
    let content = content
    let heads = site.count
    var stages = zip(group.plan.stages, group.ledger.stages).map { specification, stage in
      HeldTokens.Stage(name: specification.description, absorbs: specification.blueprint.absorbs)
    }
    for (index, stage) in group.ledger.stages.enumerated() {
      // Of a segment that was let go the slots still have their tokens.
      stages[index].shared = Array(content.shared[index].prefix(stage.count))
      let (first, count) = (group.slots.places[index].offset, stage.capacity ?? 0)
      if content.slots >= first + count, count > 0 {
        stages[index].chosen = (0..<heads).map { place in
          Array(content.chosen[place * content.slots + first..<place * content.slots + first + count])
        }
      }
    }
    if !content.packed.isEmpty, let last = stages.indices.last {
      let newer = stages[last].shared
      stages[last].chosen = content.packed.map { $0 + newer }
      stages[last].shared = []
    }
    return HeldTokens(stages: stages, heads: heads, tokenCount: Int(group.ledger.tokenCount))
  }
}
