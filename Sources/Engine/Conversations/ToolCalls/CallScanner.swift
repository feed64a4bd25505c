import ModelJSON

/// Reads the text of calls from left to right, and tells text that is wrong from text that is not all there yet.
struct CallScanner {
  /// Why reading cannot go on.
  enum Stop: Error {
    /// More text may make it a call.
    case more
    /// It is none, whatever comes.
    case broken
  }

  let bytes: ArraySlice<UInt8>
  private(set) var position: Int
  /// Whether no more text comes.
  private let isLast: Bool

  init(_ bytes: ArraySlice<UInt8>, isLast: Bool) {
    (self.bytes, self.isLast) = (bytes, isLast)
    position = bytes.startIndex
  }

  /// What is thrown where the text ends too early.
  private var end: Stop { isLast ? .broken : .more }

  private static let spaces: Set<UInt8> = [0x20, 0x09, 0x0a, 0x0d]

  static func isSpace(_ byte: UInt8) -> Bool { spaces.contains(byte) }

  mutating func skipSpace() {
    while position < bytes.endIndex, Self.isSpace(bytes[position]) { position += 1 }
  }

  /// The next byte, which stays.
  func peek() throws(Stop) -> UInt8 {
    guard position < bytes.endIndex else { throw end }
    return bytes[position]
  }

  mutating func skip(_ count: Int = 1) { position += count }

  /// Whether a text comes next; it is taken where it does.
  mutating func take(_ text: String) throws(Stop) -> Bool {
    var index = position
    for byte in text.utf8 {
      guard index < bytes.endIndex else {
        if isLast { return false }
        throw .more
      }
      guard bytes[index] == byte else { return false }
      index += 1
    }
    position = index
    return true
  }

  mutating func expect(_ text: String) throws(Stop) {
    guard try take(text) else { throw .broken }
  }

  /// Takes a text that closes what came before, and white space in front of it; one that is missing does no harm.
  mutating func takeIfNext(_ text: String) throws(Stop) {
    let before = position
    skipSpace()
    if !(try take(text)) { position = before }
  }

  /// All up to a text, which is taken too.
  mutating func until(_ text: String) throws(Stop) -> String {
    guard let range = bytes[position...].firstRange(of: Array(text.utf8)) else { throw end }
    defer { position = range.upperBound }
    return String(decoding: bytes[position..<range.lowerBound], as: UTF8.self)
  }

  /// A name of a tool or of an argument: letters, digits, and what clients put between them.
  mutating func name() throws(Stop) -> String {
    let start = position
    while position < bytes.endIndex, Self.isOfName(bytes[position]) { position += 1 }
    if position == bytes.endIndex { throw end }
    guard position > start else { throw .broken }
    return text(start..<position)
  }

  private static func isOfName(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."), 0x80...:
      true
    default: false
    }
  }

  func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

  // JSON.

  /// The place of a JSON value that comes next.
  mutating func value() throws(Stop) -> Range<Int> {
    let start = position
    try skipValue(depth: 0)
    let range = start..<position
    // What is left to check, numbers and escapes, is the parser's.
    guard (try? JSONValue(parsing: Array(bytes[range]))) != nil else { throw .broken }
    return range
  }

  /// The text of an object that comes next.
  mutating func object() throws(Stop) -> String {
    guard try peek() == UInt8(ascii: "{") else { throw .broken }
    return text(try value())
  }

  mutating func skipValue(depth: Int) throws(Stop) {
    guard depth < JSONValue.depthLimit else { throw .broken }
    switch try peek() {
    case UInt8(ascii: "{"):
      try skipElements(closedBy: UInt8(ascii: "}")) { scanner throws(Stop) in
        try scanner.skipString()
        scanner.skipSpace()
        try scanner.expect(":")
        scanner.skipSpace()
        try scanner.skipValue(depth: depth + 1)
      }
    case UInt8(ascii: "["):
      try skipElements(closedBy: UInt8(ascii: "]")) { scanner throws(Stop) in
        try scanner.skipValue(depth: depth + 1)
      }
    case UInt8(ascii: "\""): try skipString()
    case UInt8(ascii: "t"): try expect("true")
    case UInt8(ascii: "f"): try expect("false")
    case UInt8(ascii: "n"): try expect("null")
    case let byte where Self.startsNumber(byte):
      while try Self.isOfNumber(peek()) { position += 1 }
    default: throw .broken
    }
  }

  static func startsNumber(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "-") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
  }

  static func isOfNumber(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."),
      UInt8(ascii: "e"), UInt8(ascii: "E"):
      true
    default: false
    }
  }

  /// What stands between brackets, with commas between.
  mutating func skipElements(
    closedBy close: UInt8, _ element: (inout CallScanner) throws(Stop) -> Void
  ) throws(Stop) {
    position += 1
    skipSpace()
    if try peek() == close { return skip() }
    while true {
      try element(&self)
      skipSpace()
      let next = try peek()
      skip()
      if next == close { return }
      guard next == UInt8(ascii: ",") else { throw .broken }
      skipSpace()
    }
  }

  private mutating func skipString() throws(Stop) {
    guard try peek() == UInt8(ascii: "\"") else { throw .broken }
    position += 1
    while true {
      let byte = try peek()
      position += 1
      switch byte {
      case UInt8(ascii: "\""): return
      case UInt8(ascii: "\\"):
        _ = try peek()
        position += 1
      case ..<0x20: throw .broken
      default: break
      }
    }
  }

  /// The string that comes next; nil where something else does.
  mutating func string() throws(Stop) -> String? {
    guard try peek() == UInt8(ascii: "\"") else { return nil }
    let start = position
    try skipString()
    return (try? JSONValue(parsing: Array(bytes[start..<position])))?.string
  }

  /// The members of the object at a place, their values by where they stand.
  func members(of range: Range<Int>) -> [(key: String, value: Range<Int>)] {
    var scanner = CallScanner(bytes[range], isLast: true)
    var members: [(key: String, value: Range<Int>)] = []
    try? scanner.skipElements(closedBy: UInt8(ascii: "}")) { scanner throws(Stop) in
      let start = scanner.position
      try scanner.skipString()
      let key = (try? JSONValue(parsing: Array(scanner.bytes[start..<scanner.position])))?.string ?? ""
      scanner.skipSpace()
      try scanner.expect(":")
      scanner.skipSpace()
      let value = scanner.position
      try scanner.skipValue(depth: 0)
      members.append((key, value..<scanner.position))
    }
    return members
  }
}
