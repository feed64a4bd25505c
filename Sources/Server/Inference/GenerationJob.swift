import Engine
import KVCaches
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
  /// Tokens of the sequence where the answer begins.
  private var answerStart = 0
  private(set) var result = GenerationResult()
  private var checkpointer: SessionCheckpointer?
  /// Whether its sequence wants the logits of the next token.
  private(set) var isWaiting = false

  init(_ request: GenerationRequest, channel: GenerationChannel, choice: Int) {
    (self.request, self.channel, self.choice) = (request, channel, choice)
    result.promptTokens = request.promptTokens.count
  }

  /// Bytes that have to be free for it.
  var bytes: Int { max(request.bytes, sequence?.bytes ?? 0) }

  /// Begins with a memory that may have read the start of the prompt.
  ///
  /// - Throws: `KVCacheError` where tokens cannot be taken back.
  func start(
    _ held: HeldSequence, _ relation: HeldSequence.Match, _ use: CacheUse, tokenizer: Tokenizer,
    constraints: ConstraintTables?
  ) throws {
    let sequence = held.sequence
    checkpointer = held.checkpointer
    var tokens = try take(held, relation, tokenizer)
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
    self.sequence = sequence
    answerStart = sequence.count
    reader = request.format.map { AnswerReader($0, opensThought: request.opensThought) }
    generation = Generation(
      sequence, tokenizer: tokenizer, sampling: request.sampling, stopStrings: request.stopStrings,
      limit: request.limit, showsControlTokens: reader?.needsControlTokens ?? false,
      matcher: request.constraint.flatMap { constraints?.matcher(of: $0) })
    channel.send(.started(cachedTokens: result.cachedTokens), choice: choice)
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
    let tokens = prompt.tokens(after: match.symbols)
    read.append(held.read.tokens.dropLast(match.takesBack) + tokens, symbols: prompt.symbols)
    return tokens
  }

  /// Asks for the next token, unless the client is too far behind.
  ///
  /// - Returns: nil where it rests or has ended.
  func requestToken() -> Sequence? {
    guard !isWaiting, !channel.isFull, let generation, generation.requestLogits() else { return nil }
    isWaiting = true
    return generation.sequence
  }

  /// Takes the logits of the next token and sends what is clear of the text.
  ///
  /// - Returns: whether the answer has ended.
  /// - Throws: as `Generation.accept`.
  func accept(_ logits: UnsafeMutableBufferPointer<Float>) throws -> Bool {
    isWaiting = false
    for (token, bias) in request.logitBias where logits.indices.contains(Int(token)) { logits[Int(token)] += bias }
    guard let text = try generation?.accept(logits) else { return true }
    let hasEnded = generation?.finish != nil
    var parts = reader?.append(text) ?? (text.isEmpty ? [] : [.answer(text)])
    if hasEnded { parts += reader?.finish() ?? [] }
    if !parts.isEmpty { channel.send(.text(parts), choice: choice) }
    return hasEnded
  }

  /// Ends the answer where it is and gives back the memory, for another request of the same owner.
  func end(tokenizer: Tokenizer) -> HeldSequence? {
    guard let sequence, let generation else { return nil }
    _ = self.generation?.cancel()
    result.finish = generation.finish ?? .cancelled
    result.stopString = generation.stopString
    result.answerTokens = generation.generatedTokens
    result.evictedTokens = max(0, sequence.count - sequence.waitingTokens - sequence.memory.heldTokens)
    let answer: [Int32] = (0..<max(0, min(sequence.count - answerStart, sequence.log.count)))
      .reversed().map { sequence.log[back: $0] }
    read.append(answer, symbols: tokenizer.symbols(answer))
    self.sequence = nil
    guard sequence.memory.failure == nil else { return nil }
    return HeldSequence(
      sequence: sequence, read: read, owner: request.owner, plan: request.plan, checkpointer: checkpointer)
  }
}
