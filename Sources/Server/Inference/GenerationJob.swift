import Engine
import KVCaches
import SessionStore
import Tokenizers

/// A request on its way through the model; only the model's thread touches what changes.
final class GenerationJob: @unchecked Sendable {
  let request: GenerationRequest
  let channel: GenerationChannel
  let choice: Int
  private(set) var sequence: Sequence?
  /// What the sequence has taken in, the answer under way not in it.
  private(set) var read = ReadText()
  private var generation: Generation?
  private var reader: AnswerReader?
  private var probabilities: TokenProbabilities?
  /// Tokens whose probabilities were noted, and bytes of text that came of them.
  private var notedTokens = 0
  private var receivedBytes = 0
  /// Whether the answer ends since it has as many calls as were asked for.
  private var hasAllCalls = false
  /// Tokens of the sequence where the answer begins.
  private var answerStart = 0
  private(set) var result = GenerationResult()
  private var checkpointer: SessionCheckpointer?
  /// Brings layers of its memory that are still to come.
  private var load: SessionLoad?
  /// Whether its sequence wants the logits of the next token.
  private(set) var isWaiting = false

  /// When it came to the queue, counted from the first.
  var arrival = 0
  /// The job that reads the same prompt for this one, too.
  var promptReader: GenerationJob?
  /// Whether logits after the prompt are still to come.
  private(set) var isReading = true

  init(_ request: GenerationRequest, channel: GenerationChannel, choice: Int) {
    (self.request, self.channel, self.choice) = (request, channel, choice)
    result.promptTokens = request.promptTokens.count
  }

  /// Bytes that the memory made for it took, with all that is kept beside its slots.
  var madeBytes = 0

  /// Bytes that have to be free for it.
  var bytes: Int { max(request.bytes, madeBytes, sequence.map { $0.bytes + $0.memory.tokenRecordBytes } ?? 0) }

  /// Whether all that was asked for is to read the prompt.
  private var onlyReads: Bool { request.limit == 0 }

  /// Begins with a memory that may have read the start of the prompt.
  ///
  /// - Parameter load: brings what of the memory is still to come
  /// - Throws: `KVCacheError` where tokens cannot be taken back.
  func start(
    _ held: HeldSequence, _ match: HeldSequence.Match, _ use: CacheUse, load: SessionLoad? = nil,
    tokenizer: Tokenizer, constraints: ConstraintTables?
  ) throws {
    let sequence = held.sequence
    (checkpointer, self.load) = (held.checkpointer, load)
    var tokens = try take(held, match, tokenizer)
    if tokens.isEmpty, sequence.waitingTokens == 0 {
      // Logits need a token that they follow: the last one is read again.
      let last = sequence.log[back: 0]
      try sequence.rollBack(tokens: 1)
      tokens = [last]
    }
    result.cachedTokens = max(0, min(result.promptTokens, sequence.count) - sequence.waitingTokens)
    result.cache = use
    result.cache.tokens = result.cachedTokens
    sequence.append(tokens)
    begin(sequence, tokenizer, constraints)
  }

  /// Begins with a memory that has read all of the prompt, and whose logits come at once.
  func start(copy held: HeldSequence, tokenizer: Tokenizer, constraints: ConstraintTables?) {
    read = held.read
    result.cachedTokens = result.promptTokens
    result.cache = .hit(result.cachedTokens, from: "active")
    begin(held.sequence, tokenizer, constraints)
  }

  private func begin(_ sequence: Sequence, _ tokenizer: Tokenizer, _ constraints: ConstraintTables?) {
    self.sequence = sequence
    if request.embeds { sequence.hiddenMean = HiddenMean() }
    answerStart = sequence.count
    reader = request.reader
    let controls = reader?.shownControls(of: tokenizer) ?? .none
    generation = Generation(
      sequence, tokenizer: tokenizer, sampling: request.sampling, stopStrings: request.stopStrings,
      limit: request.limit, showing: controls, matcher: request.constraint.flatMap { constraints?.matcher(of: $0) })
    probabilities = request.likeliest.map { TokenProbabilities(count: $0, tokenizer: tokenizer, showing: controls) }
    if load == nil { noteStart() }
  }

  private func noteStart() { channel.send(.started(cachedTokens: result.cachedTokens), choice: choice) }

  /// Whether layers of its memory are still to come.
  var isLoading: Bool { load != nil }

  /// Looks whether the rest of its memory has come since; where it will not, all of the prompt is read again.
  ///
  /// - Parameter hasComputed: whether a step has gone through all of its layers, and waited for them
  /// - Returns: whether the memory is what it should be.
  func settleLoad(hasComputed: Bool) -> Bool {
    guard let load, let sequence else { return true }
    let outcome = load.outcome
    if outcome == .coming, !hasComputed { return true }
    self.load = nil
    defer { noteStart() }
    guard case .failed(let miss) = outcome else { return true }
    sequence.restart()
    (read, result.cachedTokens, result.cache) = (ReadText(), 0, .miss(miss))
    guard case .text(let prompt) = request.prompt else { preconditionFailure("a session without messages") }
    read.append(request.promptTokens, symbols: prompt.symbols)
    sequence.append(request.promptTokens)
    answerStart = sequence.count
    if isWaiting { sequence.requestLogits() }
    return false
  }

  /// - Returns: the tokens of the prompt that are still to be read.
  private func take(_ held: HeldSequence, _ match: HeldSequence.Match, _ tokenizer: Tokenizer) throws -> [Int32] {
    guard case .text(let prompt) = request.prompt else {
      read.append(request.promptTokens, symbols: tokenizer.symbols(request.promptTokens))
      return request.promptTokens
    }
    guard match.symbols > 0 else {
      read.append(request.promptTokens, symbols: prompt.symbols)
      return request.promptTokens
    }
    try held.sequence.rollBack(tokens: match.takesBack)
    if let count = match.promptTokens {
      read.append(request.promptTokens, symbols: prompt.symbols)
      return Array(request.promptTokens[count...])
    }
    let tokens = prompt.tokens(after: match.symbols)
    read.append(held.read.tokens.dropLast(match.takesBack) + tokens, symbols: prompt.symbols)
    return tokens
  }

  /// Asks for the next token, unless the client is too far behind.
  ///
  /// - Returns: nil where it rests or has ended.
  func requestToken() -> Sequence? {
    guard !isWaiting, !channel.isFull, let generation else { return nil }
    if onlyReads { generation.sequence.requestLogits() } else if !generation.requestLogits() { return nil }
    isWaiting = true
    return generation.sequence
  }

  /// Takes the logits of the next token and sends what is clear of the text.
  ///
  /// - Returns: whether the answer has ended.
  /// - Throws: as `Generation.accept`.
  func accept(_ logits: UnsafeMutableBufferPointer<Float>) throws -> Bool {
    isWaiting = false
    isReading = false
    if onlyReads { return true }
    probabilities?.note(logits)
    for (token, bias) in request.logitBias where logits.indices.contains(Int(token)) { logits[Int(token)] += bias }
    guard let text = try generation?.accept(logits) else { return true }
    let hasEnded = generation?.finish != nil
    var parts = reader?.append(text) ?? (text.isEmpty ? [] : [.answer(text)])
    if reader?.isThinking ?? false { result.thinkingTokens += 1 }
    if hasEnded { parts += reader?.finish() ?? [] }
    let noted = note(parts, receiving: text, isLast: hasEnded)
    if !parts.isEmpty { channel.send(.text(parts, noted), choice: choice) }
    hasAllCalls = !hasEnded && reader?.isFinished ?? false
    return hasEnded || hasAllCalls
  }

  /// The probabilities of the tokens in some parts, the newest one among them.
  private func note(
    _ parts: [AnswerReader.Part], receiving text: String, isLast: Bool
  ) -> [TokenProbability] {
    guard probabilities != nil, let generation, let sequence else { return [] }
    // A token that ended the answer is none of its text.
    if generation.generatedTokens > notedTokens { probabilities?.note(chosen: sequence.log[back: 0]) }
    notedTokens = generation.generatedTokens
    receivedBytes += text.utf8.count
    return probabilities?.take(parts, end: receivedBytes - (reader?.heldBytes ?? 0), isLast: isLast) ?? []
  }

  /// Ends the answer where it is and gives back the memory, for another request of the same owner.
  func end(tokenizer: Tokenizer) -> HeldSequence? {
    guard let sequence, let generation else { return nil }
    _ = self.generation?.cancel()
    result.finish = generation.finish ?? (hasAllCalls ? .endOfText : .cancelled)
    result.stopString = generation.stopString
    result.answerTokens = generation.generatedTokens
    result.evictedTokens = max(0, sequence.count - sequence.waitingTokens - sequence.memory.heldTokens)
    if let mean = sequence.hiddenMean {
      result.embedding = mean.values
      self.sequence = nil
      return nil
    }
    let answer = answerTokens(of: sequence)
    read.append(answer, symbols: tokenizer.symbols(answer))
    self.sequence = nil
    // Layers that nobody waits for any more may never come.
    if let load, load.outcome != .whole { return nil }
    guard sequence.memory.failure == nil else { return nil }
    return HeldSequence(
      sequence: sequence, read: read, owner: request.owner, plan: request.plan, session: request.session,
      checkpointer: checkpointer)
  }

  private func answerTokens(of sequence: Sequence) -> [Int32] {
    (0..<max(0, min(sequence.count - answerStart, sequence.log.count))).reversed().map { sequence.log[back: $0] }
  }

  /// All tokens so far, of the prompt and of the answer.
  var tokens: [Int32] { read.tokens + (sequence.map(answerTokens) ?? []) }
}
