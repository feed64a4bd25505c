import ChatTemplates
package import Constraints
package import Tokenizers

/// What a model may write before the answer that a constraint is for: its thoughts.
///
/// A thought that the prompt has opened must be closed first. A model whose template speaks of thoughts may think, unless the prompt
/// has closed its thought already; any other begins with the answer. In harmony's format (gpt-oss) the answer is what stands in the
/// channel `final`.
package enum AnswerLead: Sendable, Hashable {
  case none
  /// Text up to a closing tag, which may be a special token; where `open` is given, all of it may be missing.
  case thought(open: Tag?, close: Tag)
  case channels(channel: Int32, message: Int32, end: Int32, start: Int32)

  /// A tag as text, and as a special token where the vocabulary has it as one.
  package struct Tag: Sendable, Hashable {
    let text: String
    let special: Int32?

    init(_ text: String, _ tokenizer: Tokenizer) {
      self.text = text
      special = tokenizer.id(ofSpecial: text).flatMap { tokenizer.isSpecial($0) ? $0 : nil }
    }
  }

  /// - Parameters:
  ///   - format: of the model's answers
  ///   - prompt: the end of the prompt, as text
  ///   - speaksOfThoughts: whether the model's template does
  package init(
    _ format: AnswerFormat, promptEnd: String, speaksOfThoughts: Bool, _ tokenizer: Tokenizer
  ) {
    switch format {
    case .channels:
      let ids = ["<|channel|>", "<|message|>", "<|end|>", "<|start|>"].compactMap(tokenizer.id(ofSpecial:))
      self = ids.count == 4 ? .channels(channel: ids[0], message: ids[1], end: ids[2], start: ids[3]) : .none
    case .tags(let open, let close):
      let close = Tag(close, tokenizer)
      if let opened = ThoughtTags.opened(by: promptEnd) {
        self = .thought(open: nil, close: Tag(opened.close, tokenizer))
      } else if speaksOfThoughts, !Self.endsThought(promptEnd, close.text) {
        self = .thought(open: Tag(open, tokenizer), close: close)
      } else {
        self = .none
      }
    }
  }

  private static func endsThought(_ text: String, _ close: String) -> Bool {
    var end = text[...]
    while let last = end.last, last.isWhitespace { end.removeLast() }
    return end.hasSuffix(close)
  }

  /// The lead and what follows it.
  package func part(before answer: Constraint.Part) -> Constraint.Part {
    switch self {
    case .none: return answer
    case .thought(let open?, let close):
      // Two ways to begin, since a document has its own bytes to open it.
      return .alternatives([.sequence([.space, open.part, Self.thought(until: close), answer]), answer])
    case .thought(nil, let close): return .sequence([Self.thought(until: close), answer])
    case .channels(let channel, let message, let end, let start):
      let thought = Constraint.Part.sequence([
        .special(channel), .text("analysis"), .special(message), .anyText, .special(end), .special(start),
        .text("assistant"),
      ])
      return .sequence([.optional(thought), .special(channel), .text("final"), .special(message), answer])
    }
  }

  private static func thought(until close: Tag) -> Constraint.Part {
    let text = Constraint.Part.textEnding(with: close.text)
    guard let special = close.special else { return .sequence([text, .lineBreaks]) }
    return .sequence([.alternatives([text, .sequence([.anyText, .special(special)])]), .lineBreaks])
  }
}

extension AnswerLead.Tag {
  fileprivate var part: Constraint.Part { special.map { .special($0) } ?? .text(text) }
}

extension Constraint.Part {
  /// What models write between thought and answer.
  fileprivate static let lineBreaks = Constraint.Part.alternatives([.text(""), .text("\n"), .text("\n\n")])
}

extension AnswerFormat {
  /// Whether a template speaks of thoughts between tags.
  static func speaksOfThoughts(_ template: ChatTemplate) -> Bool {
    ThoughtTags.known.contains { template.source.contains($0.open) || template.source.contains($0.close) }
  }
}

extension RenderedConversation {
  /// What may stand before an answer to this prompt.
  package func answerLead(_ template: ConversationTemplate) -> AnswerLead {
    AnswerLead(
      AnswerFormat(template.template), promptEnd: String(decoding: prompt.bytes.suffix(64), as: UTF8.self),
      speaksOfThoughts: AnswerFormat.speaksOfThoughts(template.template), template.tokenizer)
  }
}
