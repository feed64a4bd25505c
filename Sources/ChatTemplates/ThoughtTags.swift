/// Marks between which a family writes its thoughts.
package struct ThoughtTags: Sendable, Hashable {
  package let open: String
  package let close: String

  /// Those of families, most used first.
  package static let known = [
    ThoughtTags(open: "<think>", close: "</think>"), ThoughtTags(open: "[THINK]", close: "[/THINK]"),
    ThoughtTags(open: "<|channel>thought", close: "<channel|>"),
    ThoughtTags(open: "<seed:think>", close: "</seed:think>"),
    ThoughtTags(open: "<|START_THINKING|>", close: "<|END_THINKING|>"),
    ThoughtTags(open: "<thinking>", close: "</thinking>"),
  ]

  /// The tags that a prompt for an answer opens and the answer has to close; nil where it opens none.
  package static func opened(by prompt: some StringProtocol) -> ThoughtTags? {
    var end = prompt[...]
    while let last = end.last, last.isWhitespace { end.removeLast() }
    return known.first { end.hasSuffix($0.open) }
  }
}
