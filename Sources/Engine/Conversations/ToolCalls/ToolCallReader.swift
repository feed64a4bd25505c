/// Tells calls of tools from the text of an answer that comes piece by piece.
///
/// A call is given out once all of it is there and is one: until then its text waits. What turns out to be none stays part
/// of the answer, to the letter. White space around calls belongs to neither.
///
/// With `handsOver` a call of a known tool whose arguments are JSON is given out while it is written, from the first byte of its
/// arguments on. Such a call stays one: arguments that break off are given out as far as they are JSON, and what follows is text.
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
  /// Whether calls are given out while they are written.
  let handsOver: Bool
  /// The calls that were given out of the text at hand, which begins with a mark; their arguments are `{}` there.
  private var given = 0
  /// Where their last one ends in what is held, which is no text any more.
  private var givenEnd = 0
  /// Follows arguments that are being given out.
  private var arguments: ArgumentsScanner?

  /// - Parameters:
  ///   - limit: the most calls, after which nothing more is given out
  ///   - handsOver: whether calls are given out while they are written
  package init(_ format: ToolCallFormat, tools: ToolSignatures, limit: Int = .max, handsOver: Bool = false) {
    (syntax, tokens, self.tools, self.limit) = (format.syntax, format.tokens, tools, limit)
    self.handsOver = handsOver
    marks = format.syntax.marks.map { Array($0.utf8) }
  }

  /// Whether there were as many calls as are wanted.
  package var isFinished: Bool { calls >= limit }

  var heldBytes: Int { held.count - givenEnd }

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
    while !isFinished {
      if arguments != nil {
        guard giveArguments(isLast: isLast, &parts) else { return parts }
        continue
      }
      guard let start = given > 0 ? 0 : nextStart() else { break }
      let space = held[..<start].lastIndex { !CallScanner.isSpace($0) }.map { $0 + 1 } ?? 0
      say(upTo: space, &parts)
      let mark = start - space
      if handsOver {
        switch syntax.beginning(held[mark...], of: given, tools) {
        case .open(let opening):
          begin(opening, at: mark, &parts)
          continue
        case .more where !isLast: return parts
        case .more, .whole: break
        }
      }
      switch syntax.read(held[mark...], tools, isLast: isLast) {
      case .more: return parts
      case .broken where given > 0: endGiven(at: givenEnd)
      case .broken: passed = mark + 1
      case .calls(let found, let end):
        if found.isEmpty { say(upTo: mark, &parts) }
        let others = found.dropFirst(given)
        endGiven(at: found.isEmpty ? end - mark : end)
        take(Array(others), &parts)
      }
    }
    if isFinished { endGiven(at: held.count) }
    say(upTo: isLast ? held.count : clearEnd(), &parts)
    return parts
  }

  /// Begins to give out a call; in its place a call without arguments is held, by which what follows is read.
  private mutating func begin(_ opening: CallOpening, at mark: Int, _ parts: inout [AnswerReader.Part]) {
    parts.append(.beginsCall(opening.name))
    let rest = held[opening.arguments...]
    held = Array(held[mark..<opening.arguments]) + Self.noArguments
    givenEnd = held.count
    held += rest
    arguments = ArgumentsScanner()
    isAfterCall = true
  }

  /// Gives out arguments as far as they have come.
  ///
  /// - Returns: whether they have ended.
  private mutating func giveArguments(isLast: Bool, _ parts: inout [AnswerReader.Part]) -> Bool {
    let count = arguments?.take(held[givenEnd...]) ?? 0
    if count > 0 { parts.append(.arguments(String(decoding: held[givenEnd..<givenEnd + count], as: UTF8.self))) }
    held.removeSubrange(givenEnd..<givenEnd + count)
    let state = arguments?.state ?? .ended
    guard state != .open || isLast else { return false }
    parts.append(.endsCall(isWhole: state == .ended))
    arguments = nil
    calls += 1
    given += 1
    if state != .ended { endGiven(at: givenEnd) }
    return true
  }

  /// Drops what is held up to a place, with the calls that were given out of it.
  private mutating func endGiven(at end: Int) {
    held.removeFirst(end)
    (passed, given, givenEnd) = (0, 0, 0)
  }

  private static let noArguments = Array("{}".utf8)

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
