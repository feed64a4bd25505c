import ModelJSON

/// Reads harmony (gpt-oss): an answer in channels, of which `final` is what is said; one that is addressed to a function
/// is a call.
///
/// `<|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>commentary to=functions.name json<|message|>{…}<|call|>`
struct ChannelReader: Sendable {
  private enum State {
    case header, thought, answer
    case call(String)
    /// A call that is being given out.
    case givenCall(ArgumentsScanner)
  }

  private static let message = Array("<|message|>".utf8)
  private static let ends = ["<|end|>", "<|start|>", "<|return|>", "<|call|>", "<|channel|>"].map { Array($0.utf8) }
  private static let mark = UInt8(ascii: "<")
  private static let recipient = Array("to=functions.".utf8)

  private var state = State.header
  private var held: [UInt8] = []
  /// How much of it cannot end the channel.
  private var passed = 0
  /// Whether tools are at hand.
  private let readsCalls: Bool
  /// The most calls that are wanted.
  private let limit: Int
  /// Whether calls are given out while they are written.
  private let handsOver: Bool
  private var calls = 0

  init(continuesAnswer: Bool, readsCalls: Bool, limit: Int, handsOver: Bool = false) {
    (self.readsCalls, self.limit, self.handsOver) = (readsCalls, limit, handsOver)
    if continuesAnswer { state = .answer }
  }

  var isFinished: Bool { readsCalls && calls >= limit }

  var heldBytes: Int { held.count }
  var isThinking: Bool { if case .thought = state { true } else { false } }

  mutating func append(_ text: String) { held += Array(text.utf8) }

  /// The next part, perhaps empty; nil where more text is needed.
  mutating func next(isLast: Bool) -> AnswerReader.Part? {
    if isFinished { held = [] }
    switch state {
    case .header: return held.isEmpty ? nil : header(isLast: isLast)
    case .call(let name):
      if handsOver, let first = held.first(where: { !CallScanner.isSpace($0) }), first == UInt8(ascii: "{") {
        state = .givenCall(ArgumentsScanner())
        return .beginsCall(name)
      }
      return call(name, isLast: isLast)
    case .givenCall(let arguments): return givenCall(arguments, isLast: isLast)
    case .thought: return text(isLast: isLast).map { .thinking($0) }
    case .answer: return text(isLast: isLast).map { .answer($0) }
    }
  }

  /// What stands in front of a channel's text: role, channel and recipient, between control tokens.
  private mutating func header(isLast: Bool) -> AnswerReader.Part? {
    guard let range = held.firstRange(of: Self.message) else {
      if isLast { held = [] }
      return nil
    }
    let header = held[..<range.lowerBound]
    if readsCalls, let place = header.firstRange(of: Self.recipient) {
      let name = header[place.upperBound...].prefix { $0 != Self.mark && !CallScanner.isSpace($0) }
      state = .call(String(decoding: name, as: UTF8.self))
    } else {
      state = String(decoding: header, as: UTF8.self).contains("final") ? .answer : .thought
    }
    held.removeFirst(range.upperBound)
    return .thinking("")
  }

  /// Text of the channel, as much as is clear.
  private mutating func text(isLast: Bool) -> String? {
    guard !held.isEmpty else { return nil }
    guard let mark = held.firstIndex(of: Self.mark) else { return take(held.count) }
    if mark > 0 { return take(mark) }
    if Self.ends.contains(where: { held.starts(with: $0) }) {
      state = .header
      return ""
    }
    if !isLast, Self.ends.contains(where: { $0.starts(with: held) }) { return nil }
    return take(1)
  }

  /// A call ends with its channel; one whose arguments are no object is something that was said.
  private mutating func call(_ name: String, isLast: Bool) -> AnswerReader.Part? {
    let end = (min(passed, held.count)..<held.count).first { place in
      held[place] == Self.mark && Self.ends.contains { held[place...].starts(with: $0) }
    }
    guard end != nil || isLast else {
      // The end may have begun.
      passed = max(0, held.count - 16)
      return nil
    }
    let body = take(end ?? held.count)
    (state, passed) = (.header, 0)
    let arguments = body.allSatisfy(\.isWhitespace) ? "{}" : body
    guard (try? JSONValue(parsing: arguments))?.object != nil else { return .answer(body) }
    calls += 1
    return .call(ToolCall(name, arguments))
  }

  /// Arguments as far as they have come; where they are no object any more, the channel goes on as an answer.
  private mutating func givenCall(_ arguments: ArgumentsScanner, isLast: Bool) -> AnswerReader.Part? {
    var arguments = arguments
    guard let body = text(isLast: isLast) else {
      guard isLast, held.isEmpty else { return nil }
      return end(arguments, .header)
    }
    if body.isEmpty { return end(arguments, .header) }
    let bytes = Array(body.utf8)
    var count = arguments.take(bytes[...])
    if arguments.state == .ended { count += bytes[count...].prefix(while: CallScanner.isSpace).count }
    guard count < bytes.count else {
      state = .givenCall(arguments)
      return .arguments(body)
    }
    held = bytes[count...] + held
    if count == 0 { return end(arguments, .answer) }
    state = .givenCall(arguments)
    return .arguments(String(decoding: bytes[..<count], as: UTF8.self))
  }

  private mutating func end(_ arguments: ArgumentsScanner, _ next: State) -> AnswerReader.Part {
    state = next
    calls += 1
    return .endsCall(isWhole: arguments.state == .ended)
  }

  private mutating func take(_ count: Int) -> String {
    defer { held.removeFirst(count) }
    return String(decoding: held[..<count], as: UTF8.self)
  }
}
