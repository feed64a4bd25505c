package import ChatTemplates

/// How a family writes thoughts in front of its answers.
package enum AnswerFormat: Sendable, Hashable {
  /// Thoughts stand between two tags at the start: `<think>…</think>`.
  case tags(open: String, close: String)
  /// Harmony (gpt-oss): channels, of which `final` is the answer, framed by control tokens.
  case channels

  /// The tags of families, most used first.
  private static let tags: [(open: String, close: String)] = [
    ("<think>", "</think>"), ("[THINK]", "[/THINK]"), ("<|channel>thought", "<channel|>"),
    ("<seed:think>", "</seed:think>"), ("<|START_THINKING|>", "<|END_THINKING|>"),
  ]

  /// What a template that opens a thought by itself ends with.
  static var openings: [String] { tags.map(\.open) }

  /// The format that a template speaks of; the tags most used where it speaks of none, for models that think unasked.
  package init(_ template: ChatTemplate) {
    if template.source.contains("<|channel|>"), template.source.contains("<|message|>") {
      self = .channels
    } else {
      let known = Self.tags.first { template.source.contains($0.open) || template.source.contains($0.close) }
      let (open, close) = known ?? Self.tags[0]
      self = .tags(open: open, close: close)
    }
  }

  /// Whether control tokens in an answer say where thoughts end, so that a reader must see them.
  package var needsControlTokens: Bool { self == .channels }
}
