package import KVCaches
package import Tokenizers

/// The part of a session that only the model's thread touches: its conversation, its sequence, and the response under way.
package final class SessionState: @unchecked Sendable {
  package enum Request: Sendable {
    /// A user's message, answered in the model's chat format.
    case turn(String)
    /// Text that is continued as it stands.
    case text(String)
  }

  private let tokenizer: Tokenizer
  private let template: Result<ConversationTemplate, any Error>
  private let plan: KVCache.Plan
  private let slotType: KVCache.SlotType
  private let instructions: String?
  private let undoDepth: Int
  private let speculation: Speculation
  package private(set) var existing: Sequence?
  private var generation: Generation?
  private var reader: AnswerReader?
  /// What may stand before the answer under way.
  private var lead = AnswerLead.none
  private(set) var dialogue = Dialogue()
  /// How the session stood before each of the newest requests.
  private var marks: [(count: Int, dialogue: Dialogue)] = []
  /// What the newest message asked of the sequence.
  package private(set) var lastStep = Conversation.Step()
  /// The step of the model's scheduler in which the session got its last token, until it comes back for more.
  var servedStep: Int?
  /// Where the session is saved, if it is.
  var checkpointer: SessionCheckpointer?
  /// Text of tokens whose step is still being taken in.
  var gathered = ""

  /// What is put back when a request is taken back.
  struct Dialogue {
    /// Made with the first message.
    var conversation: Conversation?
    /// The answer that is still open, nil between conversations.
    var answer: ChatMessage?
    /// How many tokens the sequence had where that answer began.
    var answerStart = 0
  }

  package init(
    tokenizer: Tokenizer, template: Result<ConversationTemplate, any Error>, plan: KVCache.Plan,
    slotType: KVCache.SlotType, instructions: String?, undoDepth: Int = 0, speculation: Speculation = .off
  ) {
    self.tokenizer = tokenizer
    self.template = template
    self.plan = plan
    self.slotType = slotType
    self.instructions = instructions
    self.undoDepth = undoDepth
    self.speculation = speculation
  }

  /// The session's sequence, made when first asked for.
  package func sequence(_ engine: InferenceEngine) throws -> Sequence {
    if let existing { return existing }
    let sequence = try makeSequence(engine)
    existing = sequence
    return sequence
  }

  /// An empty sequence such as the session has.
  func makeSequence(_ engine: InferenceEngine) throws -> Sequence {
    let sequence = try engine.makeSequence(plan, slotType: slotType)
    if undoDepth != 0 { try sequence.keepUndoLog(depth: undoDepth) }
    try speculation.check()
    try sequence.speculate(speculation, costs: engine.guessCosts)
    return sequence
  }

  /// How a new conversation of the session is written.
  func newTemplate() throws -> ConversationTemplate {
    var template = try template.get()
    if template.time == nil { template.time = .now }
    return template
  }

  /// Goes on elsewhere: with another sequence, which has the memory that belongs to a record.
  func replace(_ sequence: Sequence, _ record: SessionRecord) throws {
    let conversation = try record.conversation.map { try Conversation(newTemplate(), $0) }
    sequence.resume(record.sequence)
    existing = sequence
    dialogue = Dialogue(conversation: conversation, answer: record.answer, answerStart: record.answerStart)
    (generation, reader, marks, lastStep) = (nil, nil, [], Conversation.Step())
  }

  /// The conversation so far, the answer under way not in it; nil before the first message.
  package var conversation: Conversation? { dialogue.conversation }

  /// The answer that is still open: what the model wrote of it, whole or cut; nil before the first message.
  package var answer: ChatMessage? { dialogue.answer }

  /// Takes a request in; its tokens go through the model once a token is asked for.
  ///
  /// - Throws: an error of the options, of the plan or of the template; nothing has changed then.
  package func begin(_ request: Request, _ options: GenerationOptions, _ engine: InferenceEngine) throws {
    try options.check()
    let sequence = try sequence(engine)
    lead = .none
    cancel()
    let mark = (count: sequence.count, dialogue: dialogue)
    switch request {
    case .text(let text): try begin(text: text, sequence)
    case .turn(let message): try begin(message: message, sequence)
    }
    // The newest one stays, to say how far it would have to be taken back.
    marks.removeAll { $0.count < mark.count - undoDepth }
    marks.append(mark)
    let constraint = try options.constraint.map { try $0.constraint(behind: lead) }
    generation = Generation(
      sequence, tokenizer: tokenizer, sampling: options.sampling, stopStrings: options.stopStrings,
      limit: options.maximumResponseTokens, showing: reader?.shownControls(of: tokenizer) ?? .none,
      matcher: constraint.flatMap { engine.constraints?.matcher(of: $0) })
  }

  private func begin(text: String, _ sequence: Sequence) throws {
    var tokens = tokenizer.encode(text)
    if sequence.count == 0, tokenizer.addsBeginOfSequence, let begin = tokenizer.beginOfSequence {
      tokens.insert(begin, at: 0)
    }
    guard tokens.count + sequence.waitingTokens > 0 else {
      throw LanguageModelError.badOptions(
        sequence.count == 0 ? "there is no text to continue" : "the model has ended its text; give it more to continue")
    }
    dialogue.answer?.content += text
    sequence.append(tokens)
    reader = nil
  }

  private func begin(message: String, _ sequence: Sequence) throws {
    var dialogue = dialogue
    var conversation = try dialogue.conversation ?? Conversation(newTemplate(), instructions: instructions)
    if let answer = dialogue.answer {
      let tokens = (0..<sequence.count - dialogue.answerStart).map { sequence.log[back: $0] }
      conversation.note(answer, tokens: tokens.reversed())
    }
    var step = try conversation.ask(ChatMessage(.user, message), undoable: sequence.undoableTokens)
    if step.restarts {
      sequence.restart()
      marks = []
    } else if step.takesBack > 0 {
      try sequence.rollBack(tokens: step.takesBack)
    } else if step.addsBegin, sequence.count > 0 {
      step.tokens.removeFirst()
    }
    sequence.append(step.tokens)
    dialogue = Dialogue(
      conversation: conversation, answer: ChatMessage(.assistant, ""), answerStart: sequence.count)
    self.dialogue = dialogue
    (lastStep, lead) = (step, step.lead)
    reader = AnswerReader(AnswerFormat(conversation.template.template), opensThought: step.opensThought)
  }

  /// Forgets the newest request and what was answered to it.
  ///
  /// - Throws: `LanguageModelError` where there is none, `KVCacheError` where it is too long ago.
  package func takeBackRequest() throws {
    guard let mark = marks.last, let existing, mark.count <= existing.count else {
      throw LanguageModelError.badOptions("there is no request that could be taken back")
    }
    try existing.rollBack(tokens: existing.count - mark.count)
    marks.removeLast()
    dialogue = mark.dialogue
    (generation, reader) = (nil, nil)
  }

  /// Asks the sequence for the logits of the response's next token.
  ///
  /// - Returns: the sequence, or nil at the end of the response.
  package func requestToken() -> Sequence? {
    guard let generation, generation.requestLogits() else { return nil }
    return generation.sequence
  }

  /// Takes in the logits that were asked for, and gives what is clear of the answer, thoughts apart.
  package func accept(_ logits: UnsafeMutableBufferPointer<Float>) throws -> [AnswerReader.Part] {
    guard let text = try generation?.accept(logits) else { return [] }
    var parts = take(text)
    if hasEnded { parts += finishAnswer() }
    return parts
  }

  private func take(_ text: String) -> [AnswerReader.Part] {
    guard let parts = reader?.append(text) else {
      dialogue.answer?.content += text
      return text.isEmpty ? [] : [.answer(text)]
    }
    note(parts)
    return parts
  }

  @discardableResult
  private func finishAnswer() -> [AnswerReader.Part] {
    guard let parts = reader?.finish() else { return [] }
    note(parts)
    return parts
  }

  private func note(_ parts: [AnswerReader.Part]) {
    for part in parts {
      switch part {
      case .answer(let text): dialogue.answer?.content += text
      case .call, .beginsCall, .arguments, .endsCall: assertionFailure("a session has no tools")
      case .thinking(let text):
        let before = dialogue.answer?.thinking ?? ""
        dialogue.answer?.thinking = before + text
      }
    }
  }

  /// Ends the response where it is; what was not read of the request waits for the next one.
  ///
  /// - Returns: what of the answer was held back until now
  @discardableResult
  package func cancel() -> [AnswerReader.Part] {
    guard let text = generation?.cancel() else { return [] }
    return take(text) + finishAnswer()
  }

  /// Whether the response has ended.
  package var hasEnded: Bool { generation?.finish != nil }
}
