import Kernels

/// Taking back the newest tokens: for an answer that shall be another, or a guess that was wrong.
extension KVCache {
  /// The most tokens a cache can be asked to be able to take back.
  public static let largestUndoDepth = 1 << 16

  /// Has the cache note what steps overwrite from now on, so that the newest tokens can be taken back.
  ///
  /// Takes the bytes of `depth` tokens for every stage, in a cache that scores its tokens also its scores for every token,
  /// where a prompt is cut all that was given up, until that is too long ago, and in front of a compressive memory the segment's
  /// keys and values once more, with which no token from before the segment can be taken back; `bytes` counts them. The bounded room is
  /// allocated here; a step then allocates a copy of its counters. 0 ends it.
  ///
  /// - Parameter depth: the most tokens that can be taken back; a longer step leaves nothing to take back before its end.
  /// - Throws: `KVCacheError` where the depth is impossible, or tokens melt together, which cannot be taken apart again:
  ///   there a snapshot serves.
  public func keepUndoLog(depth: Int) throws(KVCacheError) { try keepUndoLog(depth: depth, ofSingleTokens: true) }

  /// Has the cache note what steps overwrite from now on.
  ///
  /// - Parameter ofSingleTokens: false leaves out steps of one token, which then cost nothing and end what can be taken back
  package func keepUndoLog(depth: Int, ofSingleTokens: Bool) throws(KVCacheError) {
    guard (0...Self.largestUndoDepth).contains(depth) else {
      throw .cannotUndo("between 0 and \(Self.largestUndoDepth) tokens can be taken back, not \(depth)")
    }
    let problems = groups.flatMap { group in group.states.compactMap(\.rollBackProblem) }
    if depth > 0, let problem = problems.first { throw .cannotUndo("'\(plan)' \(problem)") }
    // A recurrent state can only be taken back to where a copy of it was made.
    let reach = depth > 0 && recurrent.layout.count > 0 ? RecurrentMemory.spacing(depth: depth) : 0
    for group in groups {
      group.remove(UndoLog.self)
      guard depth > 0 else { continue }
      group.add(UndoLog(depth: depth + reach, ignoresSingleTokens: !ofSingleTokens, of: group, group.site))
    }
    recurrent.keepCopies(depth: depth)
    distantHeads?.keepUndoLog(depth: depth, ofSingleTokens: ofSingleTokens)
  }

  private var undoLogs: [(group: HeadGroup, log: UndoLog)] {
    groups.compactMap { group in group.state(UndoLog.self).map { (group, $0) } }
  }

  /// Tokens that can be taken back now; fewer than the log is deep after a start or a long step.
  public var undoableTokens: Int {
    let logged = undoLogs.map(\.log.tokens).min() ?? 0
    guard recurrent.layout.count > 0 else { return logged }
    return recurrent.oldestCopy(from: tokenCount - Int64(logged)).map { Int(tokenCount - $0) } ?? 0
  }

  /// Why some tokens of a step cannot be tried and taken back as if the others had come alone; nil where they can.
  ///
  /// The tokens of a step then read what they would read one by one, and each of the newest can be taken back.
  package var trialProblem: String? {
    for group in groups {
      if let problem = group.states.lazy.compactMap(\.rollBackProblem).first { return "'\(plan)' \(problem)" }
      if !group.plan.slidesExactly { return "under '\(plan)' tokens that come together read otherwise than one by one" }
    }
    return recurrent.layout.count > 0 ? "a model with recurrent layers cannot take back a part of a step" : nil
  }

  /// Takes back the newest tokens, and where scores decided on a step all of it: the cache is bit for bit as if they had
  /// not come.
  ///
  /// A prompt that ended before the oldest of these tokens stays ended, one that ended later is whole again.
  ///
  /// - Returns: tokens taken back, more than asked for where a step cannot be divided; the others have to come again.
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
      let limit = logs.allSatisfy { $0.log.splitsNewestStep($0.group) } ? tokens - taken : .max
      var step = 0
      for (group, log) in logs { step = log.undoStep(group, limit: limit, .current) }
      taken += step
    }
    guard taken > 0 else { return 0 }
    noteRollBack()
    distantHeads?.rollBack(tokens: taken)
    for group in groups {
      group.slots.giveUpGrowth(group.ledger.stages)
      for state in group.states { state.didRollBack(group) }
    }
    return taken
  }
}
