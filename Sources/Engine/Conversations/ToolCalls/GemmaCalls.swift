import ModelJSON

/// Gemma 4's calls, in a notation of its own: `<|tool_call>call:name{city:<|"|>Köln<|"|>,days:3}<tool_call|>`.
enum GemmaCalls {
  static let open = "<|tool_call>"
  static let close = "<tool_call|>"
  static let quote = "<|\"|>"

  static func read(_ scanner: inout CallScanner) throws(CallScanner.Stop) -> [ToolCall] {
    try scanner.expect(open)
    scanner.skipSpace()
    try scanner.expect("call:")
    let name = try scanner.name()
    guard try scanner.peek() == UInt8(ascii: "{") else { throw .broken }
    let arguments = try value(&scanner, depth: 0)
    try scanner.takeIfNext(close)
    return [ToolCall(name, arguments.text)]
  }

  private static func value(_ scanner: inout CallScanner, depth: Int) throws(CallScanner.Stop) -> JSONValue {
    guard depth < 64 else { throw .broken }
    if try scanner.take(quote) { return .string(try scanner.until(quote)) }
    switch try scanner.peek() {
    case UInt8(ascii: "["):
      var elements: [JSONValue] = []
      try scanner.skipElements(closedBy: UInt8(ascii: "]")) { scanner throws(CallScanner.Stop) in
        elements.append(try value(&scanner, depth: depth + 1))
      }
      return .array(elements)
    case UInt8(ascii: "{"):
      var members = JSONObject()
      try scanner.skipElements(closedBy: UInt8(ascii: "}")) { scanner throws(CallScanner.Stop) in
        let key = try scanner.take(quote) ? try scanner.until(quote) : try scanner.name()
        scanner.skipSpace()
        try scanner.expect(":")
        scanner.skipSpace()
        members[key] = try value(&scanner, depth: depth + 1)
      }
      return .object(members)
    default:
      let word = try scanner.name()
      guard let value = try? JSONValue(parsing: word) else { throw .broken }
      return value
    }
  }
}
