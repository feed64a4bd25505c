import KVCaches
import Tokenizers

/// The part of a session that only the model's thread touches: its sequence and the response under way.
final class SessionState: @unchecked Sendable {
  enum Request: Sendable {
    /// A user's message, answered in the chat frame.
    case turn(String)
    /// Text that is continued as it stands.
    case text(String)
  }

  private let tokenizer: Tokenizer
  private let plan: KVCache.Plan
  private let slotType: KVCache.SlotType
  private let instructions: String?
  private let undoDepth: Int
  private(set) var existing: Sequence?
  private var generation: Generation?
  private var hasInstructions = false
  /// Whether the sequence stands inside a message of the model that still has to be closed.
  private var isInsideAnswer = false
  /// How the sequence stood before each of the newest requests.
  private var marks: [Mark] = []
  /// The step of the model's scheduler in which the session got its last token, until it comes back for more.
  var servedStep: Int?

  private struct Mark {
    var count: Int
    var hasInstructions: Bool
    var isInsideAnswer: Bool
  }

  init(
    tokenizer: Tokenizer, plan: KVCache.Plan, slotType: KVCache.SlotType, instructions: String?, undoDepth: Int = 0
  ) {
    self.tokenizer = tokenizer
    self.plan = plan
    self.slotType = slotType
    self.instructions = instructions
    self.undoDepth = undoDepth
  }

  /// The session's sequence, made when first asked for.
  func sequence(_ engine: InferenceEngine) throws -> Sequence {
    if let existing { return existing }
    let sequence = try engine.makeSequence(plan, slotType: slotType)
    if undoDepth != 0 { try sequence.keepUndoLog(depth: undoDepth) }
    existing = sequence
    return sequence
  }

  /// Takes a request in; its tokens go through the model once a token is asked for.
  func begin(_ request: Request, _ options: GenerationOptions, _ engine: InferenceEngine) throws {
    try options.check()
    let sequence = try sequence(engine)
    let mark = Mark(count: sequence.count, hasInstructions: hasInstructions, isInsideAnswer: isInsideAnswer)
    let tokens = try tokens(of: request, isFirst: sequence.count == 0)
    guard tokens.count + sequence.waitingTokens > 0 else {
      throw LanguageModelError.badOptions(
        sequence.count == 0 ? "there is no text to continue" : "the model has ended its text; give it more to continue")
    }
    sequence.append(tokens)
    // The newest one stays, to say how far it would have to be taken back.
    marks.removeAll { $0.count < mark.count - undoDepth }
    marks.append(mark)
    generation = Generation(
      sequence, tokenizer: tokenizer, sampling: options.sampling, stopStrings: options.stopStrings,
      limit: options.maximumResponseTokens)
  }

  /// Forgets the newest request and what was answered to it.
  ///
  /// - Throws: `LanguageModelError` where there is none, `KVCacheError` where it is too long ago.
  func takeBackRequest() throws {
    guard let mark = marks.last, let existing else {
      throw LanguageModelError.badOptions("there is no request that could be taken back")
    }
    try existing.rollBack(tokens: existing.count - mark.count)
    marks.removeLast()
    (hasInstructions, isInsideAnswer) = (mark.hasInstructions, mark.isInsideAnswer)
    generation = nil
  }

  private func tokens(of request: Request, isFirst: Bool) throws -> [Int32] {
    var tokens: [Int32] = []
    if isFirst, tokenizer.addsBeginOfSequence, let begin = tokenizer.beginOfSequence { tokens.append(begin) }
    switch request {
    case .text(let text): tokens += tokenizer.encode(text)
    case .turn(let prompt):
      guard let format = ChatML(tokenizer: tokenizer) else {
        throw LanguageModelError.badOptions("this model's vocabulary has no ChatML tokens, so it cannot chat yet")
      }
      if isInsideAnswer { tokens += format.endOfMessage }
      if !hasInstructions, let instructions { tokens += format.message(.system, instructions) }
      tokens += format.message(.user, prompt) + format.messageHead(.assistant)
      (isInsideAnswer, hasInstructions) = (true, true)
    }
    return tokens
  }

  /// Asks the sequence for the logits of the response's next token.
  ///
  /// - Returns: the sequence, or nil at the end of the response.
  func requestToken() -> Sequence? {
    guard let generation, generation.requestLogits() else { return nil }
    return generation.sequence
  }

  /// Takes in the logits that were asked for, and gives the text of the token.
  func accept(_ logits: UnsafeMutableBufferPointer<Float>) throws -> String { try generation?.accept(logits) ?? "" }

  /// Ends the response where it is; what was not read of the request waits for the next one.
  func cancel() { generation?.cancel() }

  /// Whether the response has ended.
  var hasEnded: Bool { generation?.finish != nil }
}
