/// Tells calls of tools from the text of an answer that comes piece by piece.
///
/// A call is given out once all of it is there and is one: until then its text waits. What turns out to be none stays part
/// of the answer, to the letter. White space around calls belongs to neither.
package struct ToolCallReader: Sendable {
  private let syntax: CallSyntax
  private let marks: [[UInt8]]
  /// Marks that may be control tokens.
  let tokens: [String]
  private let tools: ToolSignatures
  /// The most calls that are wanted.
  let limit: Int
  /// Text that may be a call, or become one.
  private var held: [UInt8] = []
  /// How much of it has turned out to begin no call.
  private var passed = 0
  private var calls = 0
  /// Whether the answer has said something.
  private var hasText = false
  /// Whether what comes next follows a call.
  private var isAfterCall = false

  /// - Parameter limit: the most calls, after which nothing more is given out
  package init(_ format: ToolCallFormat, tools: ToolSignatures, limit: Int = .max) {
    (syntax, tokens, self.tools, self.limit) = (format.syntax, format.tokens, tools, limit)
    marks = format.syntax.marks.map { Array($0.utf8) }
  }

  /// Whether there were as many calls as are wanted.
  package var isFinished: Bool { calls >= limit }

  var heldBytes: Int { held.count }

  /// Takes note of what the prompt has put in front of the answer: Functionary's does so with a mark.
  package mutating func begin(after prompt: String) {
    if syntax == .recipients, prompt.hasSuffix(RecipientCalls.mark) { held = Array(RecipientCalls.mark.utf8) }
  }

  /// What is clear with this text.
  package mutating func append(_ text: String) -> [AnswerReader.Part] {
    held += Array(text.utf8)
    return read(isLast: false)
  }

  /// What is left when the answer has ended.
  package mutating func finish() -> [AnswerReader.Part] { read(isLast: true) }

  private mutating func read(isLast: Bool) -> [AnswerReader.Part] {
    var parts: [AnswerReader.Part] = []
    while !isFinished, let start = nextStart() {
      let space = held[..<start].lastIndex { !CallScanner.isSpace($0) }.map { $0 + 1 } ?? 0
      say(upTo: space, &parts)
      let mark = start - space
      switch syntax.read(held[mark...], tools, isLast: isLast) {
      case .more: return parts
      case .broken: passed = mark + 1
      case .calls(let found, let end):
        if found.isEmpty { say(upTo: mark, &parts) }
        held.removeFirst(found.isEmpty ? end - mark : end)
        passed = 0
        take(found, &parts)
      }
    }
    if isFinished { held = [] }
    say(upTo: isLast ? held.count : clearEnd(), &parts)
    return parts
  }

  private mutating func take(_ found: [ToolCall], _ parts: inout [AnswerReader.Part]) {
    guard !found.isEmpty else { return }
    let wanted = found.prefix(limit - calls)
    parts += wanted.map { .call($0) }
    calls += wanted.count
    isAfterCall = true
  }

  /// Gives out the first bytes of what is held as text of the answer.
  private mutating func say(upTo end: Int, _ parts: inout [AnswerReader.Part]) {
    guard end > 0 else { return }
    var text = held[..<end]
    if isAfterCall { text = text.drop { CallScanner.isSpace($0) || Self.isBetweenCalls($0, syntax) } }
    if !text.isEmpty {
      isAfterCall = false
      hasText = hasText || !text.allSatisfy(CallScanner.isSpace)
      parts.append(.answer(String(decoding: text, as: UTF8.self)))
    }
    held.removeFirst(end)
    passed = max(0, passed - end)
  }

  /// Without marks, calls may be divided as statements are.
  private static func isBetweenCalls(_ byte: UInt8, _ syntax: CallSyntax) -> Bool {
    syntax == .bare && (byte == UInt8(ascii: ";") || byte == UInt8(ascii: ","))
  }

  /// Where the next text begins that may be a call.
  private func nextStart() -> Int? {
    if !hasText, let first = held.firstIndex(where: { !CallScanner.isSpace($0) && !isSeparator($0) }),
      first >= passed, syntax.bareStarts.contains(held[first])
    {
      return first
    }
    return (min(passed, held.count)..<held.count).first { place in
      marks.contains { held[place...].starts(with: $0) }
    }
  }

  private func isSeparator(_ byte: UInt8) -> Bool { isAfterCall && Self.isBetweenCalls(byte, syntax) }

  /// Where text ends that no mark and no white space in front of one can reach.
  private func clearEnd() -> Int {
    let partial = (min(passed, held.count)..<held.count).first { place in
      marks.contains { $0.starts(with: held[place...]) }
    }
    let end = partial ?? held.count
    return held[..<end].lastIndex { !CallScanner.isSpace($0) }.map { $0 + 1 } ?? 0
  }
}
