import ModelJSON

/// What a template does with conversations, found by rendering small ones and looking for their words in the result.
///
/// Costs about twenty renderings; keep it with the template.
package struct TemplateTraits: Sendable, Hashable {
  /// Whether a first system message appears; some templates refuse it, some drop it.
  package let acceptsSystem: Bool
  /// Whether a message of the role `developer` appears.
  package let acceptsDeveloper: Bool
  /// Whether a system message after an answer appears.
  package let acceptsLaterSystem: Bool
  /// Whether two messages of a user, or of an assistant, in a row are an error.
  package let needsAlternation: Bool
  /// Whether the description of tools appears.
  package let acceptsTools: Bool
  /// Whether it does so only beside a system message.
  package let needsSystemForTools: Bool
  /// Whether a conversation without tools needs an empty list of them in place of none.
  package let needsToolList: Bool
  /// Whether calls of tools and what they gave appear.
  package let acceptsToolCalls: Bool
  package let acceptsToolResults: Bool
  /// Whether the arguments of calls must be text of JSON and not an object.
  package let needsTextArguments: Bool
  /// Whether calls appear only beside the content `null`.
  package let needsNullContent: Bool
  /// Whether a message may have one call only.
  package let needsSingleCalls: Bool
  /// How a call is written; nil where it does not appear.
  package let callFrame: CallFrame?
  /// Whether a call's identifier must have nine characters, as Mistral's do.
  package let needsShortIdentifiers: Bool
  /// Whether `reasoning_content` of an answer that called a tool appears.
  package let acceptsReasoning: Bool
  /// Whether `enable_thinking` changes anything.
  package let hasThinkingSwitch: Bool
  /// Whether `reasoning_effort` changes anything.
  package let hasReasoningEffort: Bool
  /// What the prompt for an answer opens and the answer has to close, as `<think>`; nil where it opens nothing.
  package let openedThinking: String?

  package init(of template: ChatTemplate, templateTexts: [String: String] = [:]) {
    var probe = TemplateProbe(template: template, templateTexts: templateTexts)
    let user = TemplateProbe.user
    if probe.text([user]) == nil {
      probe.noTools = .array([])
      needsToolList = probe.text([user]) != nil
      if !needsToolList { probe.noTools = .null }
    } else {
      needsToolList = false
    }
    acceptsSystem = probe.shows("sysword", [TemplateProbe.message("system", "sysword"), user])
    acceptsDeveloper = probe.shows("devword", [TemplateProbe.message("developer", "devword"), user])
    let answer = TemplateProbe.message("assistant", "answerword")
    acceptsLaterSystem = probe.shows(
      "laterword", [user, answer, TemplateProbe.message("system", "laterword"), user])
    needsAlternation =
      probe.text([user, answer, user]) != nil
      && (probe.text([user, user]) == nil || probe.text([user, answer, answer, user]) == nil)
    let showsTools = probe.shows("toolword", [user], tools: [TemplateProbe.tool])
    needsSystemForTools =
      !showsTools
      && probe.shows("toolword", [TemplateProbe.message("system", ""), user], tools: [TemplateProbe.tool])
    acceptsTools = showsTools || needsSystemForTools
    // Of the forms that a call may have, the first one that appears.
    let forms = [(false, false), (false, true), (true, false), (true, true)]
    let shown = forms.first { isText, isNull in
      probe.shows("argword", TemplateProbe.calling(textArguments: isText, nullContent: isNull))
    }
    acceptsToolCalls = shown != nil
    needsTextArguments = shown?.0 ?? false
    needsNullContent = shown?.1 ?? false
    acceptsToolResults = probe.shows(
      "resultword", TemplateProbe.calling(textArguments: shown?.0 ?? false, nullContent: shown?.1 ?? false))
    acceptsReasoning = probe.shows(
      "reasonword", TemplateProbe.calling(textArguments: shown?.0 ?? false, nullContent: shown?.1 ?? false))
    needsShortIdentifiers =
      shown.map { isText, isNull in
        probe.text(
          TemplateProbe.calling(textArguments: isText, nullContent: isNull, identifier: "call_0123456789abcdef")) == nil
      } ?? false
    let isSingle =
      shown.map { isText, isNull in
        !probe.shows("otherword", TemplateProbe.calling(textArguments: isText, nullContent: isNull, isTwice: true))
      } ?? false
    needsSingleCalls = isSingle
    callFrame = shown.flatMap { [probe] isText, isNull in
      CallFrame(of: probe, textArguments: isText, nullContent: isNull, isTwice: !isSingle)
    }
    let prompt = probe.text([user])
    hasThinkingSwitch = ["enable_thinking", "thinking"].contains { name in
      probe.text([user], [name: true]) != probe.text([user], [name: false])
    }
    hasReasoningEffort =
      probe.text([user], ["reasoning_effort": "low"]) != probe.text([user], ["reasoning_effort": "high"])
    openedThinking = prompt.flatMap { ThoughtTags.opened(by: $0)?.open }
  }
}
