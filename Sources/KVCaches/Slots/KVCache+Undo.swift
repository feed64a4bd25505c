import Kernels

/// Taking back the newest tokens: for an answer that shall be another, or a guess that was wrong.
extension KVCache {
  /// The most tokens a cache can be asked to be able to take back.
  public static let largestUndoDepth = 1 << 16

  /// Has the cache note what steps overwrite from now on, so that the newest tokens can be taken back.
  ///
  /// Takes the bytes of `depth` tokens for every stage, in a cache that scores its tokens also its scores for every token,
  /// and where a prompt is cut all that was given up, until that is too long ago; `bytes` counts them. The bounded room is
  /// allocated here; a step then allocates a copy of its counters. 0 ends it.
  ///
  /// - Parameter depth: the most tokens that can be taken back; a longer step leaves nothing to take back before its end.
  /// - Throws: `KVCacheError` where the depth is impossible, or tokens melt together, which cannot be taken apart again:
  ///   there a snapshot serves.
  public func keepUndoLog(depth: Int) throws(KVCacheError) {
    guard (0...Self.largestUndoDepth).contains(depth) else {
      throw .cannotUndo("between 0 and \(Self.largestUndoDepth) tokens can be taken back, not \(depth)")
    }
    let problems = groups.flatMap { group in group.states.compactMap(\.rollBackProblem) }
    if depth > 0, let problem = problems.first { throw .cannotUndo("'\(plan)' \(problem)") }
    // A recurrent state can only be taken back to where a copy of it was made.
    let reach = depth > 0 && recurrent.layout.count > 0 ? RecurrentMemory.spacing(depth: depth) : 0
    for group in groups {
      group.remove(UndoLog.self)
      if depth > 0 { group.add(UndoLog(depth: depth + reach, of: group, group.site)) }
    }
    recurrent.keepCopies(depth: depth)
  }

  private var undoLogs: [(group: HeadGroup, log: UndoLog)] {
    groups.compactMap { group in group.state(UndoLog.self).map { (group, $0) } }
  }

  /// Tokens that can be taken back now; fewer than the log is deep after a start or a long step.
  public var undoableTokens: Int {
    let logged = undoLogs.first?.log.tokens ?? 0
    guard recurrent.layout.count > 0 else { return logged }
    return recurrent.oldestCopy(from: tokenCount - Int64(logged)).map { Int(tokenCount - $0) } ?? 0
  }

  /// Takes back the newest steps, as many as it takes for `tokens` tokens: the cache is bit for bit as before them.
  ///
  /// A prompt that ended before the oldest of these tokens stays ended, one that ended later is whole again.
  ///
  /// - Returns: tokens taken back, more than asked for where they came in one step with others; those have to come again.
  /// - Throws: `KVCacheError` where so many tokens cannot be taken back; the cache is then unchanged.
  @discardableResult
  public func rollBack(tokens: Int) throws(KVCacheError) -> Int {
    precondition(tokens >= 0, "a negative count of tokens")
    arrival?.waitForAll()
    if let failure { throw failure }
    let logs = undoLogs
    guard tokens == 0 || !logs.isEmpty else { throw .cannotUndo("no log is kept, so nothing can be taken back") }
    guard tokens <= undoableTokens else {
      throw .cannotUndo("\(tokens) tokens cannot be taken back, only the last \(undoableTokens)")
    }
    var (taken, tokens) = (0, tokens)
    if tokens > 0, recurrent.layout.count > 0, let copy = recurrent.copy(before: tokenCount - Int64(tokens)) {
      tokens = Int(tokenCount - copy)
      recurrent.takeUpCopy(of: copy)
    }
    while taken < tokens {
      var step = 0
      for (group, log) in logs { step = log.undoStep(group, .current) }
      taken += step
    }
    guard taken > 0 else { return 0 }
    for group in groups {
      group.slots.giveUpGrowth(group.ledger.stages)
      for state in group.states { state.didRollBack(group) }
    }
    return taken
  }
}
