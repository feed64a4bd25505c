import ModelJSON

/// Calls as JSON behind a mark: an object with a name and arguments, or a list of them.
struct JSONCalls: Sendable, Hashable {
  let open: String
  /// What may stand around the JSON.
  var fence: String?
  var close: String?

  static let function = "function"
  static let names = ["name", "tool_name", function]
  static let arguments = ["arguments", "parameters"]
  /// Members that a call may begin with.
  private static let known = names + arguments + ["type", "id", "tool_call_id"]

  func read(_ scanner: inout CallScanner) throws(CallScanner.Stop) -> [ToolCall] {
    try begin(&scanner)
    let calls = try Self.calls(&scanner)
    if let close { try scanner.takeIfNext(close) }
    return calls
  }

  /// What stands in front of the JSON.
  func begin(_ scanner: inout CallScanner) throws(CallScanner.Stop) {
    try scanner.expect(open)
    scanner.skipSpace()
    if let fence, try scanner.take(fence) { scanner.skipSpace() }
  }

  /// The calls of an object or a list that comes next.
  static func calls(_ scanner: inout CallScanner) throws(CallScanner.Stop) -> [ToolCall] {
    guard try scanner.peek() == UInt8(ascii: "[") else {
      try checkFirstKey(scanner)
      let range = try scanner.value()
      return [try call(at: range, in: scanner)]
    }
    let range = try scanner.value()
    var elements = CallScanner(scanner.bytes[range], isLast: true)
    var calls: [ToolCall] = []
    try elements.skipElements(closedBy: UInt8(ascii: "]")) { elements throws(CallScanner.Stop) in
      let range = try elements.value()
      calls.append(try Self.call(at: range, in: elements))
    }
    guard !calls.isEmpty else { throw .broken }
    return calls
  }

  /// Has an object that is no call known as such by its first key, long before its end.
  static func checkFirstKey(_ scanner: CallScanner) throws(CallScanner.Stop) {
    var scanner = scanner
    try scanner.expect("{")
    scanner.skipSpace()
    try scanner.expect("\"")
    guard known.contains(try scanner.until("\"")) else { throw .broken }
  }

  private static func call(at range: Range<Int>, in scanner: CallScanner) throws(CallScanner.Stop) -> ToolCall {
    guard scanner.bytes[range.lowerBound] == UInt8(ascii: "{") else { throw .broken }
    var (called, given): (Range<Int>?, Range<Int>?)
    // What is called, and with what, is known with the first members that say so, as it is while they come.
    for (key, value) in scanner.members(of: range) where called == nil || given == nil {
      if key == function, scanner.bytes[value.lowerBound] == UInt8(ascii: "{") {
        return try call(at: value, in: scanner)
      }
      if names.contains(key) { called = called ?? value } else if arguments.contains(key) { given = given ?? value }
    }
    let name = called.flatMap { try? JSONValue(parsing: Array(scanner.bytes[$0])).string }
    guard let name, !name.isEmpty else { throw .broken }
    guard let given else { return ToolCall(name, "{}") }
    return ToolCall(name, try object(at: given, in: scanner))
  }

  /// Arguments are an object, or one that was written as text once more; null is none.
  private static func object(at range: Range<Int>, in scanner: CallScanner) throws(CallScanner.Stop) -> String {
    switch scanner.bytes[range.lowerBound] {
    case UInt8(ascii: "{"): return scanner.text(range)
    case UInt8(ascii: "n"): return "{}"
    case UInt8(ascii: "\""):
      guard let text = (try? JSONValue(parsing: Array(scanner.bytes[range])))?.string,
        (try? JSONValue(parsing: text))?.object != nil
      else { throw .broken }
      return text
    default: throw .broken
    }
  }
}
