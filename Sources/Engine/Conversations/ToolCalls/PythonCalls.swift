import ModelJSON

/// Calls as a list of Python's (LFM 2, Llama 3 and 4): `[name(city="Köln", days=3), other()]`.
enum PythonCalls {
  static let open = "<|tool_call_start|>"
  static let close = "<|tool_call_end|>"

  static func read(_ scanner: inout CallScanner) throws(CallScanner.Stop) -> [ToolCall] {
    try scanner.expect(open)
    scanner.skipSpace()
    let isList = try scanner.peek() == UInt8(ascii: "[")
    let calls = isList ? try list(&scanner) : [try call(&scanner)]
    try scanner.takeIfNext(close)
    return calls
  }

  static func list(_ scanner: inout CallScanner) throws(CallScanner.Stop) -> [ToolCall] {
    guard try scanner.peek() == UInt8(ascii: "[") else { throw .broken }
    var calls: [ToolCall] = []
    try scanner.skipElements(closedBy: UInt8(ascii: "]")) { scanner throws(CallScanner.Stop) in
      calls.append(try call(&scanner))
    }
    guard !calls.isEmpty else { throw .broken }
    return calls
  }

  /// One call; Llama 3.1 writes `name.call(…)`.
  static func call(_ scanner: inout CallScanner) throws(CallScanner.Stop) -> ToolCall {
    var name = try scanner.name()
    if name.hasSuffix(".call") { name.removeLast(".call".utf8.count) }
    guard try scanner.peek() == UInt8(ascii: "(") else { throw .broken }
    var arguments = JSONObject()
    try scanner.skipElements(closedBy: UInt8(ascii: ")")) { scanner throws(CallScanner.Stop) in
      let argument = try scanner.name()
      scanner.skipSpace()
      try scanner.expect("=")
      scanner.skipSpace()
      arguments[argument] = try value(&scanner, depth: 0)
    }
    return ToolCall(name, JSONValue.object(arguments).text)
  }

  private static func value(_ scanner: inout CallScanner, depth: Int) throws(CallScanner.Stop) -> JSONValue {
    guard depth < 64 else { throw .broken }
    let element = { (scanner: inout CallScanner) throws(CallScanner.Stop) -> JSONValue in
      try value(&scanner, depth: depth + 1)
    }
    switch try scanner.peek() {
    case UInt8(ascii: "\""), UInt8(ascii: "'"): return .string(try string(&scanner))
    case UInt8(ascii: "["), UInt8(ascii: "("):
      let close = try scanner.peek() == UInt8(ascii: "[") ? UInt8(ascii: "]") : UInt8(ascii: ")")
      var elements: [JSONValue] = []
      try scanner.skipElements(closedBy: close) { scanner throws(CallScanner.Stop) in
        elements.append(try element(&scanner))
      }
      return .array(elements)
    case UInt8(ascii: "{"):
      var members = JSONObject()
      try scanner.skipElements(closedBy: UInt8(ascii: "}")) { scanner throws(CallScanner.Stop) in
        let key = try string(&scanner)
        scanner.skipSpace()
        try scanner.expect(":")
        scanner.skipSpace()
        members[key] = try element(&scanner)
      }
      return .object(members)
    default: return try word(&scanner)
    }
  }

  /// A number, or one of the words for what is none.
  private static func word(_ scanner: inout CallScanner) throws(CallScanner.Stop) -> JSONValue {
    let isPositive = try scanner.take("+")
    let word = try scanner.name()
    switch word {
    case "True", "true": return true
    case "False", "false": return false
    case "None", "null": return .null
    default:
      guard !isPositive || word.first != "-", let value = try? JSONValue(parsing: word), value.double != nil else {
        throw .broken
      }
      return value
    }
  }

  private static let escapes: [UInt8: UInt8] = [
    UInt8(ascii: "n"): 0x0a, UInt8(ascii: "t"): 0x09, UInt8(ascii: "r"): 0x0d, UInt8(ascii: "b"): 0x08,
    UInt8(ascii: "f"): 0x0c, UInt8(ascii: "\\"): UInt8(ascii: "\\"), UInt8(ascii: "'"): UInt8(ascii: "'"),
    UInt8(ascii: "\""): UInt8(ascii: "\""), UInt8(ascii: "/"): UInt8(ascii: "/"),
  ]

  private static func string(_ scanner: inout CallScanner) throws(CallScanner.Stop) -> String {
    let quote = try scanner.peek()
    guard quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") else { throw .broken }
    scanner.skip()
    var bytes: [UInt8] = []
    while true {
      let byte = try scanner.peek()
      scanner.skip()
      switch byte {
      case quote: return String(decoding: bytes, as: UTF8.self)
      case UInt8(ascii: "\\"):
        let kind = try scanner.peek()
        scanner.skip()
        if let escaped = escapes[kind] {
          bytes.append(escaped)
        } else if kind == UInt8(ascii: "u") || kind == UInt8(ascii: "x") {
          let scalar = try scalar(&scanner, digits: kind == UInt8(ascii: "u") ? 4 : 2)
          bytes.append(contentsOf: String(Character(scalar)).utf8)
        } else {
          // Python keeps both.
          bytes += [byte, kind]
        }
      default: bytes.append(byte)
      }
    }
  }

  private static func scalar(_ scanner: inout CallScanner, digits: Int) throws(CallScanner.Stop) -> Unicode.Scalar {
    var text = ""
    for _ in 0..<digits {
      text.append(Character(Unicode.Scalar(try scanner.peek())))
      scanner.skip()
    }
    return UInt32(text, radix: 16).flatMap(Unicode.Scalar.init) ?? "\u{FFFD}"
  }
}
