import ModelJSON

/// Calls with a tag for the function (Qwen 3.5, Qwen3-Coder), and one for each argument or all of them as JSON
/// (Functionary).
///
/// ```
/// <tool_call>
/// <function=name>
/// <parameter=first>
/// value
/// </parameter>
/// </function>
/// </tool_call>
/// ```
enum FunctionTagCalls {
  static let open = "<tool_call>"
  private static let function = "<function="

  static var marks: [String] { [open, function] }

  static func read(_ scanner: inout CallScanner, _ tools: ToolSignatures) throws(CallScanner.Stop) -> [ToolCall] {
    let isOpen = try scanner.take(open)
    scanner.skipSpace()
    if isOpen, try scanner.peek() == UInt8(ascii: "{") {
      let calls = try JSONCalls.calls(&scanner)
      try scanner.takeIfNext("</tool_call>")
      return calls
    }
    let name = try name(&scanner)
    let arguments =
      try scanner.peek() == UInt8(ascii: "{")
      ? try scanner.object() : try parameters(&scanner, tools, of: name)
    try scanner.takeIfNext("</function>")
    if isOpen { try scanner.takeIfNext("</tool_call>") }
    return [ToolCall(name, arguments)]
  }

  /// The function's tag, and what space follows it.
  static func name(_ scanner: inout CallScanner) throws(CallScanner.Stop) -> String {
    try scanner.expect(function)
    let name = try scanner.until(">")
    guard !name.isEmpty, !name.contains("<"), !name.contains("\n") else { throw .broken }
    scanner.skipSpace()
    return name
  }

  private static func parameters(
    _ scanner: inout CallScanner, _ tools: ToolSignatures, of function: String
  ) throws(CallScanner.Stop) -> String {
    var arguments = JSONObject()
    while true {
      scanner.skipSpace()
      if try scanner.peek() != UInt8(ascii: "<") { throw .broken }
      guard try scanner.take("<parameter=") else { break }
      let name = try scanner.until(">")
      var text = try scanner.until("</parameter>")[...]
      if text.first == "\n" { text.removeFirst() }
      if text.last == "\n" { text.removeLast() }
      arguments[name] = value(String(text), isText: tools.isText(name, of: function))
    }
    // What is neither a parameter nor the end is no call.
    var ahead = scanner
    try ahead.expect("</function>")
    return JSONValue.object(arguments).text
  }

  /// A value is written without quotes, so what it is is told by the tool's schema, and by its looks where that is silent.
  private static func value(_ text: String, isText: Bool) -> JSONValue {
    if isText { return .string(text) }
    switch text {
    case "True": return true
    case "False": return false
    case "None": return .null
    default: return (try? JSONValue(parsing: text)) ?? .string(text)
    }
  }
}
