package import Tokenizers

/// Tells thoughts, calls of tools and the answer apart in text that a model writes piece by piece.
///
/// A tag that is split over pieces is held back until it is clear. Thoughts are looked for at the start of an answer only:
/// later, their tags are text that somebody asked for.
package struct AnswerReader: Sendable {
  package enum Part: Sendable, Hashable {
    case thinking(String)
    case answer(String)
    /// A call, all of it.
    case call(ToolCall)
    /// A call that is given out while it is written; its arguments follow, and its end.
    case beginsCall(String)
    case arguments(String)
    /// Where the call ends; one that is not whole has broken off, and its arguments are the beginning of a JSON text.
    case endsCall(isWhole: Bool)
  }

  private enum State { case start, thought, afterThought, answer }

  private let format: AnswerFormat
  private var state: State
  /// Text that may still become a tag, or is white space that is not shown unless text follows.
  private var held = ""
  /// Whether an odd number of backticks has been met in the line: a tag in code quotes ends nothing.
  private var isQuoted = false
  /// Finds calls in the answer; nil where no tools are at hand.
  private var calls: ToolCallReader?
  /// Reads an answer that has channels.
  private var channels: ChannelReader?

  /// - Parameters:
  ///   - opensThought: whether the prompt ends inside of a thought
  ///   - continuesAnswer: whether the prompt ends inside of an answer, in front of which nothing can stand any more
  ///   - calls: how calls are found; nil where no tools are at hand
  package init(
    _ format: AnswerFormat, opensThought: Bool = false, continuesAnswer: Bool = false, calls: ToolCallReader? = nil
  ) {
    (self.format, self.calls) = (format, calls)
    state = continuesAnswer ? .answer : opensThought ? .thought : .start
    if format == .channels {
      channels = ChannelReader(
        continuesAnswer: continuesAnswer, readsCalls: calls != nil, limit: calls?.limit ?? .max,
        handsOver: calls?.handsOver ?? false)
    }
  }

  /// The control tokens that must be among the text.
  package func shownControls(of tokenizer: Tokenizer) -> ShownControls {
    guard case .tags(let open, let close) = format else { return .all }
    return ShownControls([open, close] + (calls?.tokens ?? []), of: tokenizer)
  }

  /// Whether there were as many calls as are wanted, so that the answer may end.
  package var isFinished: Bool { channels?.isFinished ?? calls?.isFinished ?? false }

  /// Whether what came last belongs to a thought.
  package var isThinking: Bool { channels?.isThinking ?? (state == .thought) }

  /// Bytes of text that wait until they are clear.
  package var heldBytes: Int { held.utf8.count + (channels?.heldBytes ?? 0) + (calls?.heldBytes ?? 0) }

  /// What is clear with this text.
  package mutating func append(_ text: String) -> [Part] {
    if channels != nil { channels?.append(text) } else { held += text }
    return read(isLast: false)
  }

  /// What is left when the answer has ended.
  package mutating func finish() -> [Part] {
    var parts = read(isLast: true)
    for part in calls?.finish() ?? [] { Self.add(part, to: &parts) }
    return parts
  }

  private mutating func read(isLast: Bool) -> [Part] {
    var parts: [Part] = []
    if channels != nil {
      while let part = channels?.next(isLast: isLast) { Self.add(part, to: &parts) }
      return parts
    }
    while let part = next(isLast: isLast) {
      if case .answer(let text) = part, let found = calls?.append(text) {
        for part in found { Self.add(part, to: &parts) }
      } else {
        Self.add(part, to: &parts)
      }
    }
    return parts
  }

  private static func add(_ part: Part, to parts: inout [Part]) {
    switch (parts.last, part) {
    case (_, .thinking("")), (_, .answer("")): return
    case (.thinking(let before)?, .thinking(let text)): parts[parts.count - 1] = .thinking(before + text)
    case (.answer(let before)?, .answer(let text)): parts[parts.count - 1] = .answer(before + text)
    case (.arguments(let before)?, .arguments(let text)): parts[parts.count - 1] = .arguments(before + text)
    default: parts.append(part)
    }
  }

  /// The next part, perhaps empty; nil where more text is needed.
  private mutating func next(isLast: Bool) -> Part? {
    guard !held.isEmpty else { return nil }
    guard case .tags(let open, let close) = format else { return nil }
    switch state {
    case .answer: return .answer(take(held.endIndex))
    case .start: return start(open, isLast: isLast)
    case .thought: return thought(until: close, isLast: isLast)
    case .afterThought: return afterThought(isLast: isLast)
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
}

extension [AnswerReader.Part] {
  /// The answer without thoughts.
  package var answerText: String {
    reduce(into: "") { if case .answer(let text) = $1 { $0 += text } }
  }
}
