/// Llama 3: a call is all of an answer, as JSON or as Python, perhaps behind a mark.
///
/// What names no known tool is an answer that somebody asked for.
enum BareCalls {
  static let mark = "<|python_tag|>"

  static func read(_ scanner: inout CallScanner, _ tools: ToolSignatures) throws(CallScanner.Stop) -> [ToolCall] {
    let isMarked = try scanner.take(mark)
    scanner.skipSpace()
    let calls: [ToolCall]
    switch try scanner.peek() {
    case UInt8(ascii: "{"): calls = try JSONCalls.calls(&scanner)
    case UInt8(ascii: "["):
      var ahead = scanner
      ahead.skip()
      ahead.skipSpace()
      let isJSON = try ahead.peek() == UInt8(ascii: "{")
      calls = isJSON ? try JSONCalls.calls(&scanner) : try PythonCalls.list(&scanner)
    default:
      guard isMarked else { throw .broken }
      calls = [try PythonCalls.call(&scanner)]
    }
    guard calls.allSatisfy({ tools.has($0.name) }) else { throw .broken }
    return calls
  }
}
