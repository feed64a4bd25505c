/// Functionary 3.2: each part of an answer names who it is for, a tool or `all`, on a line of its own behind a mark.
enum RecipientCalls {
  static let mark = ">>>"
  /// Whom a part is for that calls nothing.
  static let all = "all"

  static func read(_ scanner: inout CallScanner) throws(CallScanner.Stop) -> [ToolCall] {
    let recipient = try name(&scanner)
    return recipient == all ? [] : [ToolCall(recipient, try scanner.object())]
  }

  /// Who is spoken to.
  static func name(_ scanner: inout CallScanner) throws(CallScanner.Stop) -> String {
    try scanner.expect(mark)
    let recipient = try scanner.name()
    try scanner.expect("\n")
    return recipient
  }
}
