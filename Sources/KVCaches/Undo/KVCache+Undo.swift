import Kernels

/// Taking back the newest tokens: for an answer that shall be another, or a guess that was wrong.
extension KVCache {
  /// The most tokens a cache can be asked to be able to take back.
  public static let largestUndoDepth = 1 << 16

  /// Has the cache note what steps overwrite from now on, so that the newest tokens can be taken back.
  ///
  /// Takes the bytes of `depth` tokens for every stage, in a cache that scores its tokens also its scores for every token;
  /// `bytes` counts them. The bounded room is allocated here; a step then allocates a copy of its counters. 0 ends it.
  ///
  /// - Parameter depth: the most tokens that can be taken back; a longer step leaves nothing to take back before its end.
  /// - Throws: `KVCacheError` where the depth is impossible, or tokens melt together, which cannot be taken apart again:
  ///   there a snapshot serves.
  public func keepUndoLog(depth: Int) throws(KVCacheError) {
    guard (0...Self.largestUndoDepth).contains(depth) else {
      throw .cannotUndo("between 0 and \(Self.largestUndoDepth) tokens can be taken back, not \(depth)")
    }
    for part in parts where depth > 0 && part.summary != nil {
      throw .cannotUndo("'\(plan)' melts tokens together, and what has melted cannot be taken apart")
    }
    for part in parts { part.undoLog = depth == 0 ? nil : UndoLog(depth: depth, of: part) }
  }

  /// Tokens that can be taken back now; fewer than the log is deep after a start, a long step, or the end of a prompt.
  public var undoableTokens: Int { undoLog?.tokens ?? 0 }

  /// Takes back the newest steps, as many as it takes for `tokens` tokens: the cache is bit for bit as before them.
  ///
  /// - Returns: tokens taken back, more than asked for where they came in one step with others; those have to come again.
  /// - Throws: `KVCacheError` where so many tokens cannot be taken back; the cache is then unchanged.
  @discardableResult
  public func rollBack(tokens: Int) throws(KVCacheError) -> Int {
    precondition(tokens >= 0, "a negative count of tokens")
    guard tokens == 0 || undoLog != nil else { throw .cannotUndo("no log is kept, so nothing can be taken back") }
    guard tokens <= undoableTokens else {
      throw .cannotUndo("\(tokens) tokens cannot be taken back, only the last \(undoableTokens)")
    }
    var taken = 0
    while taken < tokens, let step = undoLog?.steps.last {
      taken += step.tokens
      for part in parts { part.undoStep() }
    }
    if taken > 0 {
      for part in parts { part.giveUpGrowth() }
    }
    return taken
  }

  private func undoStep() {
    guard let undoLog, let last = undoLog.steps.last else { return assertionFailure("parts take the same steps") }
    let blocks = storage.flatMap { storage in
      (storage.packed.map { [$0.block] } ?? []) + (0..<storage.blockCount).map { storage.block($0) }
    }
    let first = tokenCount - Int64(last.tokens)
    let step = undoLog.undo(first: first, scores: scores, observation, .current) { block, head in
      blocks[block].slots(head: head, type: slotType.elementType, headDim: shape.headDim)
    }
    takeBack(tokens: step.tokens, to: step.stages)
  }
}
