package import ChatTemplates
import Tokenizers

/// A conversation whose text grows by turns, and what of it a sequence has read.
///
/// Each turn is rendered whole by the template, and compared with what was read: only what is new goes to the model. A
/// template that writes old messages anew (most leave out old thoughts) changes the end of what was read; that much is
/// taken back and read again. Where it cannot be taken back, old thoughts stay in the model's memory.
package struct Conversation: Sendable {
  /// What a sequence has to do for the next answer.
  package struct Step: Sendable, Hashable {
    /// Whether all that was read is void, because the template writes an older part anew.
    package var restarts = false
    /// The newest tokens to be taken back.
    package var takesBack = 0
    /// Tokens to be read.
    package var tokens: [Int32] = []
    /// Of these, tokens of messages that had been read before, in another form.
    package var readAgain = 0
    /// Whether thoughts stay in memory that the template would leave out now.
    package var keepsThoughts = false
    /// Whether the model goes on inside of a thought.
    package var opensThought = false
    /// What may stand before the answer.
    package var lead = AnswerLead.none
    /// Whether the first token only says that a sequence begins.
    package var addsBegin = false
  }

  package let template: ConversationTemplate
  package private(set) var messages: [ChatMessage] = []
  private var read = ReadText()

  package init(_ template: ConversationTemplate, instructions: String? = nil) {
    self.template = template
    if let instructions { messages.append(ChatMessage(.system, instructions)) }
  }

  /// What of a conversation is kept in a file.
  struct Record {
    var messages: [ChatMessage]
    var time: TemplateTime?
    var read: ReadText
  }

  var record: Record { Record(messages: messages, time: template.time, read: read) }

  /// A conversation that goes on.
  init(_ template: ConversationTemplate, _ record: Record) {
    var template = template
    template.time = record.time
    (self.template, messages, read) = (template, record.messages, record.read)
  }

  /// Adds a message and says what a sequence has to do to answer it.
  ///
  /// - Parameter undoable: how many of the newest tokens the sequence can take back
  /// - Throws: `TemplateError` where the template refuses the message; the conversation is then as before.
  package mutating func ask(_ message: ChatMessage, undoable: Int) throws(TemplateError) -> Step {
    let before = messages
    messages.append(message)
    do {
      return try step(undoable: undoable)
    } catch {
      messages = before
      throw error
    }
  }

  /// Takes note of the model's answer, to the message asked last.
  ///
  /// - Parameter tokens: all that the sequence took in since then
  package mutating func note(_ answer: ChatMessage, tokens: [Int32]) {
    messages.append(answer)
    read.append(tokens, symbols: template.tokenizer.symbols(tokens))
  }

  private mutating func step(undoable: Int) throws(TemplateError) -> Step {
    let whole = try template.render(messages, opensAnswer: true)
    var step = Step(opensThought: whole.opensThought, lead: whole.answerLead(template))
    // What the newest messages begin with, in whole, so that all before can be folded.
    let newest = symbolsBeforeNewest(in: whole)
    switch read.relation(to: whole.symbols) {
    case .continues where read.count == 0: return restart(whole, step)
    case .continues:
      step.tokens = whole.tokens(after: read.count)
      fold(whole, from: read.count, step.tokens)
    case .takesBack(let tokens, let symbols) where tokens <= undoable:
      (step.takesBack, step.tokens) = (tokens, whole.tokens(after: symbols))
      step.readAgain = newest.map { max(0, step.tokens.count - whole.tokens(after: $0).count) } ?? step.tokens.count
      fold(whole, from: symbols, step.tokens)
    case .takesBack:
      guard let newest, let end = endOfAnswer() else { return restart(whole, step) }
      let tokens = whole.tokens(after: newest)
      (step.tokens, step.keepsThoughts) = (end + tokens, true)
      fold(whole, from: newest, tokens)
    case .differs: return restart(whole, step)
    }
    return step
  }

  private mutating func restart(_ whole: RenderedConversation, _ step: Step) -> Step {
    var step = step
    step.restarts = read.count > 0
    (step.tokens, step.addsBegin) = (whole.tokens(after: 0), whole.addsBegin)
    step.readAgain = step.restarts ? step.tokens.count : 0
    fold(whole, from: 0, step.tokens)
    return step
  }

  /// Takes a rendering for what was read: its start as settled, `tokens` as what follows.
  private mutating func fold(_ whole: RenderedConversation, from start: Int, _ tokens: [Int32]) {
    read.fold(as: whole.symbols[..<start])
    read.append(tokens, symbols: Array(whole.symbols[start...]))
  }

  /// How many symbols of a rendering come before the newest message, with old thoughts left out; nil where the template
  /// does not simply go on.
  private func symbolsBeforeNewest(in whole: RenderedConversation) -> Int? {
    guard messages.count > 1 else { return 0 }
    var earlier = Array(messages.dropLast())
    for index in earlier.indices { earlier[index].thinking = nil }
    // A template may refuse a conversation that ends so; that is no fault of the message.
    guard let rendered = try? template.render(earlier, opensAnswer: false) else { return nil }
    return whole.symbols.starts(with: rendered.symbols) ? rendered.symbols.count : nil
  }

  /// The tokens that close the answer that was read last, as the template writes it with its thoughts; nil where that is
  /// not what was read.
  private func endOfAnswer() -> [Int32]? {
    guard let rendered = try? template.render(Array(messages.dropLast()), opensAnswer: false) else { return nil }
    return read.relation(to: rendered.symbols) == .continues ? rendered.tokens(after: read.count) : nil
  }
}
