/// A recursive-descent parser over bytes: one pass, no look-ahead beyond a byte, nothing copied but the strings.
///
/// Accepts RFC 8259 and nothing else, save a byte order mark at the start, and `NaN`, `Infinity` and `-Infinity`, which
/// Python writes. Memory is bounded by a constant times the
/// text, stack by the depth limit. An 8 MB `tokenizer.json` takes about 50 ms in a release build.
struct JSONParser {
  let bytes: UnsafeBufferPointer<UInt8>
  let depthLimit: Int
  var position = 0
  /// Where strings with escapes are put together, reused from string to string.
  var scratch: [UInt8] = []

  init(_ bytes: UnsafeBufferPointer<UInt8>, depthLimit: Int) {
    self.bytes = bytes
    self.depthLimit = depthLimit
  }

  mutating func parse() throws(JSONError) -> JSONValue {
    guard bytes.count < Int(Int32.max) else { throw failure(.tooLarge(bytes: bytes.count), at: 0) }
    if bytes.starts(with: [0xef, 0xbb, 0xbf]) { position = 3 }
    let value = try value(depth: 0)
    skipSpace()
    guard position == bytes.count else { throw failure(.trailingBytes) }
    return value
  }

  func failure(_ code: JSONError.Code, at offset: Int? = nil) -> JSONError {
    JSONError(code, at: offset ?? position, in: bytes)
  }

  /// The byte at the position; 0, which is valid nowhere outside a string, at the end.
  @inline(__always) var current: UInt8 { position < bytes.count ? bytes[position] : 0 }

  @inline(__always) mutating func skipSpace() {
    while position < bytes.count {
      switch bytes[position] {
      case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\t"), UInt8(ascii: "\r"): position += 1
      default: return
      }
    }
  }

  private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
    skipSpace()
    switch current {
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "{"): return try object(depth: depth + 1)
    case UInt8(ascii: "["): return try array(depth: depth + 1)
    case UInt8(ascii: "t"): return try literal("true", .bool(true))
    case UInt8(ascii: "f"): return try literal("false", .bool(false))
    case UInt8(ascii: "n"): return try literal("null", .null)
    case UInt8(ascii: "N"): return try literal("NaN", .number(.nan))
    case UInt8(ascii: "I"): return try literal("Infinity", .number(.infinity))
    case UInt8(ascii: "-") where position + 1 < bytes.count && bytes[position + 1] == UInt8(ascii: "I"):
      return try literal("-Infinity", .number(-.infinity))
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    default: throw failure(.expectedValue)
    }
  }

  private mutating func literal(_ text: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
    let end = position + text.utf8CodeUnitCount
    guard end <= bytes.count,
      bytes[position..<end].elementsEqual(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    else { throw failure(.expectedValue) }
    position = end
    return value
  }

  private mutating func array(depth: Int) throws(JSONError) -> JSONValue {
    guard depth <= depthLimit else { throw failure(.tooDeep(limit: depthLimit)) }
    position += 1
    skipSpace()
    var elements: [JSONValue] = []
    if current == UInt8(ascii: "]") {
      position += 1
      return .array(elements)
    }
    // Merges are pairs, hundreds of thousands of them.
    elements.reserveCapacity(2)
    while true {
      elements.append(try value(depth: depth))
      guard try continues(to: UInt8(ascii: "]"), of: "array") else { return .array(elements) }
    }
  }

  private mutating func object(depth: Int) throws(JSONError) -> JSONValue {
    guard depth <= depthLimit else { throw failure(.tooDeep(limit: depthLimit)) }
    position += 1
    skipSpace()
    var members = JSONObject()
    if current == UInt8(ascii: "}") {
      position += 1
      return .object(members)
    }
    while true {
      skipSpace()
      guard current == UInt8(ascii: "\"") else { throw failure(.expectedKey) }
      let key = try string()
      skipSpace()
      guard current == UInt8(ascii: ":") else { throw failure(.expectedColon) }
      position += 1
      members.read(key, try value(depth: depth))
      guard try continues(to: UInt8(ascii: "}"), of: "object") else { return .object(members) }
    }
  }

  /// Steps over a comma (true) or over the closing byte (false).
  private mutating func continues(to end: UInt8, of container: String) throws(JSONError) -> Bool {
    skipSpace()
    guard current == UInt8(ascii: ",") || current == end else { throw failure(.expectedCommaOrEnd(of: container)) }
    position += 1
    return bytes[position - 1] != end
  }
}

extension JSONValue {
  package static let depthLimit = 128

  /// Parses one JSON text, all of it; the error says line and column. Arrays and objects nest up to `depthLimit`.
  package init(parsing bytes: UnsafeRawBufferPointer, depthLimit: Int = JSONValue.depthLimit) throws(JSONError) {
    var parser = JSONParser(bytes.bindMemory(to: UInt8.self), depthLimit: depthLimit)
    self = try parser.parse()
  }

  package init(parsing bytes: [UInt8], depthLimit: Int = JSONValue.depthLimit) throws(JSONError) {
    self = try bytes.withUnsafeBufferPointer { (buffer) throws(JSONError) in
      var parser = JSONParser(buffer, depthLimit: depthLimit)
      return try parser.parse()
    }
  }

  package init(parsing text: String, depthLimit: Int = JSONValue.depthLimit) throws(JSONError) {
    try self.init(parsing: Array(text.utf8), depthLimit: depthLimit)
  }
}
