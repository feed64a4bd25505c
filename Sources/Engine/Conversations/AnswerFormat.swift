package import ChatTemplates

/// How a family writes thoughts in front of its answers.
package enum AnswerFormat: Sendable, Hashable {
  /// Thoughts stand between two tags at the start: `<think>…</think>`.
  case tags(open: String, close: String)
  /// Harmony (gpt-oss): channels, of which `final` is the answer, framed by control tokens.
  case channels

  /// The format that a template speaks of; the tags most used where it speaks of none, for models that think unasked.
  package init(_ template: ChatTemplate) {
    if template.source.contains("<|channel|>"), template.source.contains("<|message|>") {
      self = .channels
    } else {
      let known = ThoughtTags.known.first { template.source.contains($0.open) || template.source.contains($0.close) }
      let tags = known ?? ThoughtTags.known[0]
      self = .tags(open: tags.open, close: tags.close)
    }
  }
}
