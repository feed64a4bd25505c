/// Mistral's calls: a list as JSON, or since 2025 a name and an object for each.
///
/// `[TOOL_CALLS][{"name": …, "arguments": …, "id": …}]`, `[TOOL_CALLS]name[CALL_ID]id[ARGS]{…}`
enum MistralCalls {
  static let mark = "[TOOL_CALLS]"

  static func read(_ scanner: inout CallScanner) throws(CallScanner.Stop) -> [ToolCall] {
    try scanner.expect(mark)
    scanner.skipSpace()
    if try isJSON(scanner) { return try JSONCalls.calls(&scanner) }
    return [ToolCall(try name(&scanner), try scanner.object())]
  }

  static func isJSON(_ scanner: CallScanner) throws(CallScanner.Stop) -> Bool {
    let first = try scanner.peek()
    return first == UInt8(ascii: "[") || first == UInt8(ascii: "{")
  }

  /// A name, and what stands between it and the arguments.
  static func name(_ scanner: inout CallScanner) throws(CallScanner.Stop) -> String {
    let name = try scanner.name()
    scanner.skipSpace()
    if try scanner.take("[CALL_ID]") {
      _ = try scanner.name()
      scanner.skipSpace()
    }
    _ = try scanner.take("[ARGS]")
    scanner.skipSpace()
    return name
  }
}
