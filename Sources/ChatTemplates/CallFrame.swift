import ModelJSON

/// What a template writes for a call of a tool in the place of an answer, found with the call of `toolword` by
/// `{"a": "argword"}`.
package struct CallFrame: Sendable, Hashable {
  /// The call as it is written: `<tool_call>\n{"name": "toolword", "arguments": {"a": "argword"}}\n</tool_call>`.
  package let text: String
  /// What stands around the name and the arguments, where these are written as JSON.
  package let pieces: Pieces?

  package struct Pieces: Sendable, Hashable {
    package let beforeName: String
    package let afterName: String
    package let afterArguments: String
    /// What stands between the arguments of a call and the name of the next; nil where there is one call at most.
    package let betweenCalls: String?

    package init(beforeName: String, afterName: String, afterArguments: String, betweenCalls: String?) {
      (self.beforeName, self.afterName) = (beforeName, afterName)
      (self.afterArguments, self.betweenCalls) = (afterArguments, betweenCalls)
    }
  }

  /// - Returns: nil where the call does not follow what a prompt for an answer ends with.
  init?(of probe: TemplateProbe, textArguments: Bool, nullContent: Bool, isTwice: Bool) {
    let tools = [TemplateProbe.tool]
    let system = TemplateProbe.message("system", "")
    // Without a system message some templates show no tools.
    let write = { (messages: [JSONValue], addsPrompt: Bool) -> String? in
      let messages = messages.map(Self.withoutReasoning)
      return probe.text(messages, tools: tools, addsPrompt: addsPrompt)
        ?? probe.text([system] + messages, tools: tools, addsPrompt: addsPrompt)
    }
    let calling = TemplateProbe.calling(textArguments: textArguments, nullContent: nullContent)
    guard let prompt = write([TemplateProbe.user], true), let whole = write(Array(calling.prefix(2)), false),
      let text = Self.answer(in: whole, after: prompt)
    else { return nil }
    let plain = write([TemplateProbe.user, TemplateProbe.message("assistant", "answerword")], false) ?? ""
    let end = plain.firstRange(of: "answerword").map { String(plain[$0.upperBound...]) } ?? ""
    guard text.contains("toolword") else { return nil }
    self.text = Self.text(text, without: end)
    let twice =
      isTwice
      ? write(TemplateProbe.calling(textArguments: textArguments, nullContent: nullContent, isTwice: true), false)
        .flatMap { Self.answer(in: $0, after: prompt) } : nil
    pieces = Self.pieces(of: self.text, twice: twice)
  }

  /// What an answer says: all that comes after the part that the prompt for it has, too.
  private static func answer(in whole: String, after prompt: String) -> String? {
    let common = zip(whole.unicodeScalars, prompt.unicodeScalars).prefix { $0 == $1 }.count
    guard common * 2 > prompt.unicodeScalars.count else { return nil }
    // Where the prompt opens something that no call begins in, the marks of both may start alike.
    let isDivided = common < prompt.unicodeScalars.count
    let shared =
      isDivided ? whole.unicodeScalars.prefix(common).reversed().prefix { "<|[".unicodeScalars.contains($0) } : []
    return String(whole.unicodeScalars.dropFirst(common - shared.count))
  }

  private static func text(_ text: String, without end: String) -> String {
    guard !end.isEmpty, text.hasSuffix(end) else { return text }
    return String(text.dropLast(end.count))
  }

  private static func pieces(of text: String, twice: String?) -> Pieces? {
    guard let name = text.firstRange(of: "toolword"),
      let arguments = text[name.upperBound...].firstRange(of: TemplateProbe.arguments)
    else { return nil }
    var between: String?
    if let twice, let first = twice.firstRange(of: TemplateProbe.arguments),
      let second = twice[first.upperBound...].firstRange(of: "otherword")
    {
      between = String(twice[first.upperBound..<second.lowerBound])
    }
    return Pieces(
      beforeName: String(text[..<name.lowerBound]), afterName: String(text[name.upperBound..<arguments.lowerBound]),
      afterArguments: String(text[arguments.upperBound...]), betweenCalls: between)
  }

  private static func withoutReasoning(_ message: JSONValue) -> JSONValue {
    guard var members = message.object, members["reasoning_content"] != nil else { return message }
    members["reasoning_content"] = .null
    return .object(members)
  }
}
