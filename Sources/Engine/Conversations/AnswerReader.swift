/// Tells thoughts from the answer in text that a model writes piece by piece.
///
/// A tag that is split over pieces is held back until it is clear. Thoughts are looked for at the start of an answer only:
/// later, their tags are text that somebody asked for.
package struct AnswerReader: Sendable {
  package enum Part: Sendable, Hashable {
    case thinking(String)
    case answer(String)
  }

  private enum State { case start, thought, afterThought, answer, header, channel(isAnswer: Bool) }

  private let format: AnswerFormat
  private var state: State
  /// Text that may still become a tag, or is white space that is not shown unless text follows.
  private var held = ""
  /// Whether an odd number of backticks has been met in the line: a tag in code quotes ends nothing.
  private var isQuoted = false

  /// - Parameter opensThought: whether the prompt ends inside of a thought
  package init(_ format: AnswerFormat, opensThought: Bool = false) {
    self.format = format
    switch format {
    case .tags: state = opensThought ? .thought : .start
    case .channels: state = .header
    }
  }

  /// Whether control tokens must be among the text.
  package var needsControlTokens: Bool { format.needsControlTokens }

  /// What is clear with this text.
  package mutating func append(_ text: String) -> [Part] {
    held += text
    var parts: [Part] = []
    while let part = next(isLast: false) { Self.add(part, to: &parts) }
    return parts
  }

  /// What is left when the answer has ended.
  package mutating func finish() -> [Part] {
    var parts: [Part] = []
    while let part = next(isLast: true) { Self.add(part, to: &parts) }
    return parts
  }

  private static func add(_ part: Part, to parts: inout [Part]) {
    switch (parts.last, part) {
    case (_, .thinking("")), (_, .answer("")): return
    case (.thinking(let before)?, .thinking(let text)): parts[parts.count - 1] = .thinking(before + text)
    case (.answer(let before)?, .answer(let text)): parts[parts.count - 1] = .answer(before + text)
    default: parts.append(part)
    }
  }

  /// The next part, perhaps empty; nil where more text is needed.
  private mutating func next(isLast: Bool) -> Part? {
    guard !held.isEmpty else { return nil }
    switch (format, state) {
    case (_, .answer): return .answer(take(held.endIndex))
    case (.tags(let open, _), .start): return start(open, isLast: isLast)
    case (.tags(_, let close), .thought): return thought(until: close, isLast: isLast)
    case (.tags, _): return afterThought(isLast: isLast)
    case (.channels, .channel(let isAnswer)): return channel(isAnswer: isAnswer, isLast: isLast)
    case (.channels, _): return header(isLast: isLast)
    }
  }

  private mutating func take(_ end: String.Index) -> String {
    defer { held = String(held[end...]) }
    return String(held[..<end])
  }

  private mutating func start(_ open: String, isLast: Bool) -> Part? {
    let text = held.drop(while: \.isWhitespace)
    if text.hasPrefix(open) {
      held = String(text.dropFirst(open.count))
      state = .thought
      return .thinking("")
    }
    guard isLast || !open.hasPrefix(text) else { return nil }
    state = .answer
    return .answer("")
  }

  private mutating func thought(until close: String, isLast: Bool) -> Part? {
    var index = held.startIndex
    while index < held.endIndex {
      let rest = held[index...]
      if rest.hasPrefix(close), !isQuoted {
        let thought = take(index)
        held = String(held.dropFirst(close.count))
        state = .afterThought
        return .thinking(thought)
      }
      if !isLast, close.hasPrefix(rest) {
        return index > held.startIndex ? .thinking(take(index)) : nil
      }
      if held[index] == "`" { isQuoted.toggle() } else if held[index].isNewline { isQuoted = false }
      index = held.index(after: index)
    }
    return .thinking(take(held.endIndex))
  }

  /// White space between thought and answer belongs to neither.
  private mutating func afterThought(isLast: Bool) -> Part? {
    held = String(held.drop(while: \.isWhitespace))
    guard !held.isEmpty else { return nil }
    state = .answer
    return .answer("")
  }

  private static let message = "<|message|>"
  private static let ends = ["<|end|>", "<|start|>", "<|return|>", "<|call|>", "<|channel|>"]

  /// What stands in front of a channel's text: role and channel, between control tokens.
  private mutating func header(isLast: Bool) -> Part? {
    guard let range = held.firstRange(of: Self.message) else {
      if isLast { held = "" }
      return nil
    }
    let isAnswer = held[..<range.lowerBound].contains("final")
    held = String(held[range.upperBound...])
    state = .channel(isAnswer: isAnswer)
    return .thinking("")
  }

  private mutating func channel(isAnswer: Bool, isLast: Bool) -> Part? {
    let part = { (text: String) in isAnswer ? Part.answer(text) : .thinking(text) }
    guard let mark = held.firstIndex(of: "<") else { return part(take(held.endIndex)) }
    if mark > held.startIndex { return part(take(mark)) }
    if Self.ends.contains(where: held.hasPrefix) {
      state = .header
      return part("")
    }
    if !isLast, Self.ends.contains(where: { $0.hasPrefix(held) }) { return nil }
    return part(take(held.index(after: mark)))
  }
}

extension [AnswerReader.Part] {
  /// The answer without thoughts.
  package var answerText: String {
    reduce(into: "") { if case .answer(let text) = $1 { $0 += text } }
  }
}
