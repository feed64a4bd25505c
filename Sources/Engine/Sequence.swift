package import KVCaches

/// One sequence: tokens go in, its memory keeps what its plan says, and logits are asked for where a token is wanted.
///
/// It owns no engine: it offers chunks to whoever computes, and is told what went through. Input may be far longer than
/// the model's context and arrive in pieces of any size. Not thread safe.
package final class Sequence {
  /// Tokens that a sequence offers for one step: its oldest ones that wait.
  package struct Chunk: Sendable, Hashable {
    package let count: Int
    /// Whether the logits after the last of them were asked for.
    package let needsLogits: Bool
    /// How many of them are guesses, the last ones.
    package var guesses = 0

    /// The rows, its last ones, whose logits are wanted.
    package var logitRows: Int { needsLogits ? 1 + guesses : 0 }
  }

  /// What it means that a chunk went through the model.
  package enum Event: Sendable, Hashable {
    /// There is more to read before there are logits.
    case reads
    /// Its last logits are those after a prompt; the memory has to be told that the prompt has ended before the next
    /// step, so that they are those of all the prompt.
    case endsPrompt
    /// Its last logits follow a token of the answer.
    case answers
  }

  package let memory: KVCache
  /// What the sequence has seen.
  package private(set) var log: TokenLog
  /// Tokens for the model, of which the first `read` went through it, and behind them guesses at those that follow.
  private var pending: [Int32] = []
  private var read = 0
  private(set) var trial = Trial()
  private var guesser: Guesser?
  /// Guesses that went through the model so far, and those of them that came true.
  package private(set) var guesses = (tried: 0, confirmed: 0)
  /// Tokens that had to be read once more so far, since whoever kept them was lost.
  package private(set) var tokensReadAgain = 0
  private var undoDepth = 0
  /// Takes in the last hidden state of every token that is read in chunks; nil where nobody asks for it.
  package var hiddenMean: HiddenMean?
  /// Whether tokens came from outside since the last logits.
  package private(set) var isInPrompt = false
  /// Whether the logits after all tokens are asked for; until then the last ones wait, since more may come.
  package private(set) var wantsLogits = false
  /// Tokens after which prompts ended, ascending; noted where the memory may be lost.
  private var promptEnds: [Int] = []
  /// Tokens that were read before the memory was lost: up to there prompts end where they did.
  private var readBefore = 0
  /// Where the memory is saved; nil where it is not.
  package var source: (any MemorySource)?
  /// The prompt's way through the model one layer after another, while it is under way; no chunks are offered then.
  package private(set) var layerwise: LayerwiseReading?

  package init(memory: KVCache, log: TokenLog = TokenLog()) {
    self.memory = memory
    self.log = log
  }

  /// Tokens appended so far, read or waiting.
  package var count: Int { log.total }

  /// Tokens that have not gone through the model yet.
  package var waitingTokens: Int { pending.count - read - trial.offered }

  /// Tokens that have not gone through the model yet, oldest first.
  package var waiting: [Int32] { Array(pending[read..<pending.count - trial.offered]) }

  /// Rows that the tokens waiting and the guesses behind them take.
  package var wantedRows: Int { pending.count - read }

  /// Goes on where another sequence stood, whose memory this one's has taken up.
  ///
  /// - Parameters:
  ///   - count: tokens that ever came, of which `newest` are the last
  ///   - waiting: those of them that have not gone through the model
  package func resume(count: Int, newest: [Int32], waiting: [Int32], isInPrompt: Bool) {
    precondition(waiting.count <= newest.count && newest.count <= count, "more tokens than came")
    log = TokenLog(limit: log.limit, total: count, newest: newest)
    (pending, read, self.isInPrompt, wantsLogits, layerwise) = (waiting, 0, isInPrompt, false, nil)
    (promptEnds, readBefore) = ([], 0)
    forgetGuesses()
  }

  /// Bytes that the sequence holds now.
  package var bytes: Int { (layerwise?.bytes ?? memory.bytes) + (guesser?.bytes ?? 0) }

  /// What of them takes memory already: what it holds while it rests.
  package var takenBytes: Int { (layerwise?.bytes ?? memory.takenBytes) + (guesser?.bytes ?? 0) }

  /// The slots to which its next token attends.
  package var attendedSlots: Int { layerwise?.attendedSlots ?? memory.attendedSlots }

  /// Whether one token is all that its logits still need, as at every token of an answer.
  package var needsOneRow: Bool { wantsLogits && waitingTokens == 1 && layerwise == nil }

  /// Takes in tokens of a prompt, which ends where logits are asked for.
  package func append(_ tokens: [Int32]) {
    guard !tokens.isEmpty else { return }
    endTrial()
    isInPrompt = true
    for token in tokens { log.append(token) }
    layerwise = nil
    dropRead()
    pending += tokens
  }

  /// Takes in one token of the answer, which may be one that was guessed and went through the model already.
  package func append(_ token: Int32) {
    guesser?.note(token)
    if trial.unconfirmed > 0, pending[pending.count - trial.unconfirmed] == token {
      log.append(token)
      trial.confirm()
      guesses.confirmed += 1
      return
    }
    takeBackGuesses()
    log.append(token)
    layerwise = nil
    pending.append(token)
  }

  /// Asks for the logits after all tokens so far, and after those that may still be appended before they are computed.
  ///
  /// - Precondition: at least one token waits, or the newest one was guessed and its logits come next.
  package func requestLogits() {
    if trial.confirmed > 0 { return }
    precondition(waitingTokens > 0, "logits need a token they follow")
    wantsLogits = true
  }

  /// Whether there is something to read in a step of at most `limit` of its rows.
  ///
  /// Where logits are not asked for yet, as many tokens as a step has wait for more.
  package func isReady(limit: Int) -> Bool {
    wantsLogits ? waitingTokens > 0 : waitingTokens > limit && !isForLayers
  }

  /// Offers its next tokens: at most `limit`, and no more than the memory admits at once.
  ///
  /// - Returns: nil where it is not ready, or its prompt goes through the model layer by layer (`layerwise`).
  package func next(limit: Int) -> Chunk? {
    guard limit > 0, isReady(limit: limit), !readsByLayers() else { return nil }
    let waiting = waitingTokens
    let limit = min(limit, tokensReadTogether)
    let count = memory.admissibleChunk(min(limit, wantsLogits ? wantedRows : waiting))
    return Chunk(count: count, needsLogits: wantsLogits && count >= waiting, guesses: max(0, count - waiting))
  }

  /// Calls `body` with the tokens of the chunk that was offered last.
  package func withTokens<Result>(of chunk: Chunk, _ body: (UnsafeBufferPointer<Int32>) -> Result) -> Result {
    pending.withUnsafeBufferPointer { body(UnsafeBufferPointer(rebasing: $0[read..<read + chunk.count])) }
  }

  /// Notes that a chunk went through the model, and, where it needs logits, that they are there.
  package func accept(_ chunk: Chunk) -> Event {
    precondition(chunk.count <= wantedRows, "a chunk that was never offered")
    let endsPrompt = endsPrompt(with: chunk)
    read += chunk.count
    if endsPrompt, memory.distantHeads != nil, promptEnds.last ?? 0 < count - waitingTokens {
      promptEnds.append(count - waitingTokens)
    }
    guard chunk.needsLogits else { return endsPrompt ? .endsPrompt : .reads }
    pending.removeLast(pending.count - read)
    trial.begin(guesses: chunk.guesses)
    guesses.tried += chunk.guesses
    return acceptLogits()
  }

  /// Notes that the prompt has gone through all layers, and has thereby ended in the memory too.
  package func acceptLayerwise() {
    precondition(layerwise?.isFinished == true, "layers that have not read the prompt")
    layerwise = nil
    read = pending.count
    _ = acceptLogits()
  }

  private func acceptLogits() -> Event {
    defer { (isInPrompt, wantsLogits) = (false, false) }
    precondition(waitingTokens == 0, "logits after a token that is not the last")
    // The room of a long prompt is given back, that of an answer's tokens is kept.
    if trial.unconfirmed == 0 { dropPending() }
    return isInPrompt ? .endsPrompt : .answers
  }

  // Memory that is lost.

  /// Whether the memory is lost and can be had again: all tokens are known, or those since it was saved.
  package var isLost: Bool {
    guard let distant = memory.distantHeads, memory.failure != nil, distant.isRecoverable else { return false }
    return log.count == log.total || log.total - log.count <= source?.savedTokens(of: memory) ?? 0
  }

  /// Whether a prompt ends with a chunk that was offered: now, or before the memory was lost.
  package func endsPrompt(with chunk: Chunk) -> Bool {
    chunk.needsLogits ? isInPrompt : chunk.count == tokensToPromptEnd
  }

  /// The most tokens that may be read at once so that a memory that was lost becomes what it was.
  ///
  /// Where a chunk reads otherwise than its tokens one by one, those behind the first prompt come one by one, as those of an
  /// answer did.
  private var tokensReadTogether: Int {
    let position = count - waitingTokens
    guard position < readBefore else { return .max }
    if let first = promptEnds.first, position >= first, !memory.plan.slidesExactly { return 1 }
    return tokensToPromptEnd
  }

  /// Tokens up to the next end of a prompt that was there before the memory was lost.
  private var tokensToPromptEnd: Int {
    guard !promptEnds.isEmpty else { return .max }
    let position = count - waitingTokens
    guard position < readBefore, let end = promptEnds.first(where: { $0 > position }) else { return .max }
    return end - position
  }

  /// Has a memory that was lost be what was saved of it, or empty, and all tokens that came since be read again; what was asked
  /// for stays asked for.
  package func readAgain() {
    precondition(isLost, "a memory that is there")
    let readTokens = count - waitingTokens
    readBefore = max(readBefore, readTokens)
    if source?.restore(memory) != true { memory.reset() }
    let missing = count - Int(memory.tokenCount)
    guard missing <= log.count else {
      memory.distantHeads?.giveUp("what was saved cannot be had, and older tokens are not known any more")
      return
    }
    pending = (0..<missing).reversed().map { log[back: $0] }
    read = 0
    trial = Trial()
    guesser?.forget()
    tokensReadAgain += readTokens - Int(memory.tokenCount)
  }

  private func dropPending() {
    pending.removeAll(keepingCapacity: pending.count <= Self.keptRoom)
    read = 0
  }

  private func dropRead() {
    pending.removeFirst(read)
    read = 0
  }

  private static let keptRoom = 1 << 12

  /// Whether the prompt is to go layer by layer, and therefore waits until all of it is known.
  private var isForLayers: Bool { isInPrompt && memory.tokenCount == 0 && memory.plan.prompt?.order == .layerMajor }

  /// Whether the prompt goes layer by layer from now on; one that is kept whole does not.
  private func readsByLayers() -> Bool {
    guard isForLayers else { return false }
    if layerwise == nil { layerwise = LayerwiseReading(of: pending, into: memory) }
    return layerwise != nil
  }

  /// Has the sequence note what its tokens overwrite, so that the newest ones can be taken back.
  ///
  /// - Throws: `KVCacheError` where its memory cannot.
  package func keepUndoLog(depth: Int) throws(KVCacheError) { try keepUndoLog(depth, guesser) }

  /// Has the sequence guess at its next tokens from now on; what could be taken back until now no longer can.
  ///
  /// - Parameter costs: of the engine that computes
  /// - Throws: `KVCacheError` where its memory cannot try guesses, and a number of them was asked for.
  package func speculate(_ speculation: Speculation, costs: GuessCosts) throws(KVCacheError) {
    if let problem = memory.trialProblem {
      guard case .fixed = speculation else { return }
      throw .cannotUndo("nothing can be guessed: " + problem)
    }
    let guesser = speculation.mostGuesses > 0 ? Guesser(speculation, costs: costs) : nil
    try keepUndoLog(undoDepth, guesser)
    self.guesser = guesser
    pending.reserveCapacity(Speculation.largestCount + 1)
  }

  private func keepUndoLog(_ depth: Int, _ guesser: Guesser?) throws(KVCacheError) {
    endTrial()
    let room = guesser == nil ? 0 : Speculation.largestCount + 1
    try memory.keepUndoLog(depth: min(depth + room, KVCache.largestUndoDepth), ofSingleTokens: depth > 0)
    undoDepth = depth
  }

  /// How many of the newest tokens can be taken back now.
  package var undoableTokens: Int {
    undoDepth == 0 ? min(log.count, waitingTokens) : min(log.count, waitingTokens + memory.undoableTokens)
  }

  /// Forgets everything, as if no token had come.
  package func restart() {
    memory.reset()
    log = TokenLog(limit: log.limit)
    (pending, read, isInPrompt, wantsLogits, layerwise) = ([], 0, false, false, nil)
    (promptEnds, readBefore) = ([], 0)
    forgetGuesses()
  }

  /// Takes back the newest tokens; those that went through the model in one step with older ones are read again where the
  /// step cannot be divided, which puts them at the end of that much shorter step.
  ///
  /// - Precondition: the sequence has so many tokens.
  /// - Throws: `KVCacheError` where the memory cannot take back so many; nothing has changed then.
  package func rollBack(tokens: Int) throws(KVCacheError) {
    precondition(tokens >= 0 && tokens <= count, "tokens that never came")
    endTrial()
    let waiting = min(tokens, waitingTokens)
    let taken = tokens > waiting ? try memory.rollBack(tokens: tokens - waiting) : 0
    let again = (0..<max(0, taken - (tokens - waiting))).map { log[back: tokens + $0] }
    pending = again.reversed() + (taken == 0 ? pending[read...].dropLast(waiting) : [])
    read = 0
    if tokens > 0 { (wantsLogits, layerwise) = (false, nil) }
    log.removeLast(tokens)
    promptEnds.removeAll { $0 > Int(clamping: memory.tokenCount) }
    if tokens > 0 { forgetGuesses() }
  }

  private func forgetGuesses() {
    trial = Trial()
    guesser?.forget()
  }

  // Guesses.

  /// Puts guesses at the next tokens behind the last one, where logits are asked for and the sequence is to guess.
  ///
  /// - Parameter limit: the most guesses that are of use
  package func guess(limit: Int) {
    guard guesser != nil, wantsLogits, !isInPrompt, waitingTokens == 1, trial.offered == 0 else { return }
    // Moved out and in again, not copied.
    let count = guesser?.guess(after: log, limit: max(0, limit)) ?? 0
    guard count > 0, let guesser else { return }
    for guess in guesser.guesses[..<count] { pending.append(guess) }
    trial.offer(count)
  }

  /// Ends the trial of guesses: what was not confirmed is taken back.
  ///
  /// - Parameter lastWaits: whether the newest token shall wait to be read, as one does that was not guessed
  package func endTrial(lastWaits: Bool = false) {
    takeBackGuesses(andConfirmed: lastWaits && trial.confirmed > 0 ? 1 : 0)
  }

  /// - Parameter confirmed: newest tokens that came true, to be read again
  private func takeBackGuesses(andConfirmed confirmed: Int = 0) {
    guard trial != Trial() else { return }
    pending.removeLast(trial.offered)
    let wrong = trial.unconfirmed + confirmed
    // What went through the model stays in front of guesses until they are confirmed.
    if trial.unconfirmed + trial.confirmed > 0 { dropPending() }
    trial = Trial()
    guard wrong > 0 else { return }
    do {
      let taken = try memory.rollBack(tokens: wrong)
      for back in (0..<taken - wrong + confirmed).reversed() { pending.append(log[back: back]) }
    } catch {
      // Nothing that the memory answers is used then, until it is reset.
      assert(memory.failure != nil, "guesses that cannot be taken back")
    }
  }
}
