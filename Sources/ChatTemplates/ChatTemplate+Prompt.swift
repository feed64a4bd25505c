package import ModelJSON

/// A conversation to be written down by a template.
package struct TemplateConversation: Sendable {
  /// What comes after the last message.
  package enum Ending: Sendable, Hashable {
    /// The beginning of a new answer.
    case answer
    /// Nothing.
    case none
    /// The last message, which is an assistant's, goes on.
    case continuation
  }

  /// Messages as servers are given them; `ConversationMessages` says what is made of them.
  package var messages: [JSONValue]
  package var tools: [JSONValue] = []
  package var ending = Ending.answer
  /// Whether a model that can think should; nil leaves it to the template.
  package var thinking: Bool?
  /// `low`, `medium` or `high`, for the templates that know it.
  package var reasoningEffort: String?
  /// Further variables, such as `documents`; they win over those above.
  package var variables = JSONObject()

  package init(_ messages: [JSONValue], tools: [JSONValue] = [], ending: Ending = .answer) {
    self.messages = messages
    self.tools = tools
    self.ending = ending
  }
}

extension ChatTemplate {
  /// Writes a conversation down.
  ///
  /// An answer after an assistant's last message is begun as the template does it; one that refuses this continues that
  /// message instead. One that goes on is written as if it were whole, and ends where its text does.
  ///
  /// - Parameters:
  ///   - templateTexts: the model's `bos_token` and `eos_token`, as they are spelled
  ///   - time: what `strftime_now` tells
  /// - Throws: `TemplateError`; of kind `messages` where the messages have no usable form.
  package func prompt(
    for conversation: TemplateConversation, traits: TemplateTraits, templateTexts: [String: String] = [:],
    time: TemplateTime? = nil
  ) throws(TemplateError) -> [TemplateSpan] {
    var messages = try ConversationMessages(conversation.messages, for: traits, tools: conversation.tools).messages
    var conversation = conversation
    if !traits.acceptsTools { conversation.tools = [] }
    if traits.needsSystemForTools, !conversation.tools.isEmpty, messages.first?["role"]?.string != "system" {
      messages.insert(["role": "system", "content": ""], at: 0)
    }
    let noTools: JSONValue = traits.needsToolList ? .array([]) : .null
    let write = { [conversation] (messages: [JSONValue], addsPrompt: Bool) throws(TemplateError) -> [TemplateSpan] in
      let values = self.values(of: conversation, messages, addsPrompt: addsPrompt, noTools: noTools, time: time)
      return try self.render(RenderingVariables(values, templateTexts: templateTexts, time: time))
    }
    let last = messages.last
    let answer = last?["role"]?.string == "assistant" && last?["tool_calls"] == nil ? last?["content"]?.string : nil
    let continued = { (answer: String) throws(TemplateError) -> [TemplateSpan] in
      let head = try write(Array(messages.dropLast()), true)
      return answer.isEmpty ? head : head + [TemplateSpan(answer, isContent: true)]
    }
    switch conversation.ending {
    case .none: return try write(messages, false)
    case .continuation:
      guard let answer else {
        throw TemplateError(.messages, "the last message is no answer that could be continued")
      }
      do {
        return try Self.cut(write(Self.marking(messages, after: answer), false))
      } catch {
        guard error.kind == .raised else { throw error }
        return try continued(answer)
      }
    case .answer:
      do {
        return try write(messages, true)
      } catch {
        guard error.kind == .raised, let answer else { throw error }
        return try continued(answer)
      }
    }
  }

  /// A character for private use, which no template looks for or trims.
  private static let mark: Unicode.Scalar = "\u{F8FF}"

  /// Has the last message end with the mark.
  private static func marking(_ messages: [JSONValue], after answer: String) -> [JSONValue] {
    guard var last = messages.last?.object else { return messages }
    last["content"] = JSONValue(answer + String(Character(mark)))
    return messages.dropLast() + [.object(last)]
  }

  /// What stands in front of the last mark.
  private static func cut(_ spans: [TemplateSpan]) throws(TemplateError) -> [TemplateSpan] {
    guard let index = spans.lastIndex(where: { $0.isContent && $0.text.unicodeScalars.contains(mark) }),
      let place = spans[index].text.unicodeScalars.lastIndex(of: mark)
    else { throw TemplateError(.messages, "the template has no place for an answer that goes on") }
    let text = String(spans[index].text.unicodeScalars[..<place])
    return spans[..<index] + (text.isEmpty ? [] : [TemplateSpan(text, isContent: true)])
  }

  /// The variables of a conversation, with the names that templates know them by.
  func values(
    of conversation: TemplateConversation, _ messages: [JSONValue], addsPrompt: Bool, noTools: JSONValue,
    time: TemplateTime?
  ) -> JSONObject {
    var values = JSONObject()
    values["messages"] = .array(messages)
    values["tools"] = conversation.tools.isEmpty ? noTools : .array(conversation.tools)
    values["documents"] = .null
    values["add_generation_prompt"] = JSONValue(addsPrompt)
    if let thinking = conversation.thinking {
      values["enable_thinking"] = JSONValue(thinking)
      values["thinking"] = JSONValue(thinking)
    }
    if let effort = conversation.reasoningEffort { values["reasoning_effort"] = JSONValue(effort) }
    // Firefunction's template is given its tools and the day as text.
    if mentions("functions"), mentions("datetime") {
      values["functions"] = JSONValue(JSONValue.array(conversation.tools).text)
      if let time { values["datetime"] = JSONValue(time.formatted("%b %d %Y")) }
    }
    for (name, value) in conversation.variables { values[name] = value }
    return values
  }
}
