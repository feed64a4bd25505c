/// DeepSeek's calls: marks of its own around each, and around all of them.
///
/// R1 and V3 write `function`, the name, and the arguments fenced as JSON; V3.1 writes the name, a mark, and the arguments.
enum DeepSeekCalls {
  static let openAll = "<｜tool▁calls▁begin｜>"
  private static let closeAll = "<｜tool▁calls▁end｜>"
  static let open = "<｜tool▁call▁begin｜>"
  static let close = "<｜tool▁call▁end｜>"
  private static let separator = "<｜tool▁sep｜>"

  static var marks: [String] { [openAll, open] }
  /// All marks, of which tokens are made.
  static var tokens: [String] { [openAll, closeAll, open, close, separator] }

  static func read(_ scanner: inout CallScanner) throws(CallScanner.Stop) -> [ToolCall] {
    let isList = try scanner.take(openAll)
    scanner.skipSpace()
    try scanner.expect(open)
    var calls: [ToolCall] = []
    while true {
      calls.append(try call(&scanner))
      try scanner.takeIfNext(close)
      guard isList else { return calls }
      var ahead = scanner
      ahead.skipSpace()
      guard try ahead.take(open) else { break }
      scanner = ahead
    }
    try scanner.takeIfNext(closeAll)
    return calls
  }

  static func call(_ scanner: inout CallScanner) throws(CallScanner.Stop) -> ToolCall {
    let name = try name(&scanner)
    let arguments = try scanner.object()
    try scanner.takeIfNext("```")
    return ToolCall(name, arguments)
  }

  /// A name, and what stands between it and the arguments.
  static func name(_ scanner: inout CallScanner) throws(CallScanner.Stop) -> String {
    var name = try scanner.name()
    scanner.skipSpace()
    try scanner.expect(separator)
    scanner.skipSpace()
    if try scanner.peek() != UInt8(ascii: "{") {
      name = try scanner.name()
      scanner.skipSpace()
      if try scanner.take("```json") { scanner.skipSpace() }
    }
    return name
  }
}
