package import ChatTemplates
package import ModelJSON
package import Tokenizers

/// How a model's conversations become text: its chat template, and what that asks of the tokenizer.
package struct ConversationTemplate: Sendable {
  package let template: ChatTemplate
  package let tokenizer: Tokenizer
  /// What a template is told beside messages.
  package var variables = JSONObject()
  /// When the conversation began: a template that writes the date writes the same one in every turn.
  package var time: TemplateTime?
  /// Whether a model that can think should; nil leaves it to the template.
  package var thinking: Bool?
  /// Ids of texts that were encoded before; nil encodes everything anew.
  package var known: EncodedPieces.Share?
  /// What the template takes and refuses.
  package let traits: TemplateTraits
  private let templateTexts: [String: String]

  /// - Parameter templateTexts: special tokens as the model's files spell them; the tokenizer's own without them
  package init(_ template: ChatTemplate, tokenizer: Tokenizer, templateTexts: [String: String] = [:]) {
    (self.template, self.tokenizer) = (template, tokenizer)
    var texts = templateTexts
    for (name, id) in [("bos_token", tokenizer.beginOfSequence), ("eos_token", tokenizer.endOfSequence)]
    where texts[name] == nil { texts[name] = id.map(tokenizer.token) ?? "" }
    self.templateTexts = texts
    traits = TemplateTraits(of: template, templateTexts: texts)
  }

  /// The text of some messages, brought into the form that the template takes.
  ///
  /// - Parameter opensAnswer: whether it ends with what stands in front of the model's answer
  /// - Throws: `TemplateError`; of kind `raised` where the template refuses the messages.
  package func render(_ messages: [ChatMessage], opensAnswer: Bool) throws(TemplateError) -> RenderedConversation {
    var conversation = TemplateConversation(messages.map(\.json), ending: opensAnswer ? .answer : .none)
    (conversation.thinking, conversation.variables) = (thinking, variables)
    return try render(conversation)
  }

  /// The text of a conversation as servers are given it, with tools and variables of its own.
  ///
  /// - Throws: as above; of kind `messages` where a message has no usable form.
  package func render(_ conversation: TemplateConversation) throws(TemplateError) -> RenderedConversation {
    let spans = try template.prompt(for: conversation, traits: traits, templateTexts: templateTexts, time: time)
    var prompt = PromptText()
    for span in spans { prompt.append(span.text, isContent: span.isContent) }
    return RenderedConversation(prompt, tokenizer: tokenizer, known: known)
  }

  /// What stands before and after a user's only message, which may be too long to be rendered.
  ///
  /// - Throws: as `render`.
  package func frame() throws -> (before: [Int32], after: [Int32]) {
    let place = Array(Self.placeholder.utf8)
    let prompt = try render([ChatMessage(.user, Self.placeholder)], opensAnswer: true).prompt
    guard let range = prompt.bytes.firstRange(of: place) else {
      throw LanguageModelError.badOptions("the chat template \(template.name) leaves out what a user says")
    }
    let before = RenderedConversation(prompt.prefix(range.lowerBound), tokenizer: tokenizer)
    return (
      before.tokens(after: 0), tokenizer.encode(prompt.dropping(range.upperBound), startsText: false)
    )
  }

  /// Characters for private use, which no template looks for.
  private static let placeholder = "\u{F8FE}message\u{F8FF}"
}

/// A conversation as text, as symbols, and what of either is still to be encoded.
package struct RenderedConversation: Sendable {
  package let prompt: PromptText
  /// What it says; begins with the begin-of-sequence token where the tokenizer adds it and the template does not.
  package let symbols: [Int32]
  private let places: SymbolPlaces
  /// Whether it begins with a token that the template does not write.
  let addsBegin: Bool
  private let tokenizer: Tokenizer
  private let known: EncodedPieces.Share?

  /// - Parameter known: ids of texts that were encoded before
  package init(_ prompt: PromptText, tokenizer: Tokenizer, known: EncodedPieces.Share? = nil) {
    (self.prompt, self.tokenizer, self.known) = (prompt, tokenizer, known)
    var (symbols, places) = tokenizer.symbols(prompt)
    let begin = tokenizer.addsBeginOfSequence ? tokenizer.beginOfSequence : nil
    addsBegin = begin != nil && symbols.first != begin.map { 256 + $0 }
    if addsBegin, let begin {
      symbols.insert(256 + begin, at: 0)
      places.insertFirst()
    }
    (self.symbols, self.places) = (symbols, places)
  }

  /// The ids of what comes after so many symbols.
  package func tokens(after count: Int) -> [Int32] {
    guard count > 0 else { return (addsBegin ? [symbols[0] - 256] : []) + tokenizer.encode(prompt, known: known) }
    let start = places.byte(of: count)
    return tokenizer.encode(prompt.dropping(start), startsText: start == 0)
  }

  /// Whether the model is to go on inside of a thought that the template has opened.
  package var opensThought: Bool {
    ThoughtTags.opened(by: String(decoding: prompt.bytes.suffix(64), as: UTF8.self)) != nil
  }
}
