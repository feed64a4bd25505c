extension JSONParser {
  /// Reads the string whose opening quote is at the position; one copy without escapes, two with.
  mutating func string() throws(JSONError) -> String {
    let start = position + 1
    var end = start
    var bits: UInt8 = 0
    while end < bytes.count {
      let byte = bytes[end]
      if byte == UInt8(ascii: "\"") {
        position = end + 1
        return try text(bytes[start..<end], ascii: bits < 0x80)
      }
      if byte == UInt8(ascii: "\\") { return try escapedString(from: start, to: end) }
      guard byte >= 0x20 else { throw failure(.controlCharacter(byte), at: end) }
      bits |= byte
      end += 1
    }
    throw failure(.unterminatedString, at: position)
  }

  private func text(_ slice: Slice<UnsafeBufferPointer<UInt8>>, ascii: Bool) throws(JSONError) -> String {
    let buffer = UnsafeBufferPointer(rebasing: slice)
    if ascii { return String(decoding: buffer, as: UTF8.self) }
    if let text = String(validUTF8: buffer) { return text }
    throw failure(.invalidUTF8, at: slice.startIndex + Self.firstInvalid(buffer))
  }

  /// The slow path: the string's bytes begin at `start`, its first escape is at `escape`.
  private mutating func escapedString(from start: Int, to escape: Int) throws(JSONError) -> String {
    scratch.removeAll(keepingCapacity: true)
    position = escape
    var plain = start
    while position < bytes.count {
      let byte = bytes[position]
      switch byte {
      case UInt8(ascii: "\""):
        try appendRun(plain..<position)
        position += 1
        return String(decoding: scratch, as: UTF8.self)
      case UInt8(ascii: "\\"):
        try appendRun(plain..<position)
        try unescape()
        plain = position
      case 0..<0x20: throw failure(.controlCharacter(byte))
      default: position += 1
      }
    }
    throw failure(.unterminatedString, at: start - 1)
  }

  /// Reads one escape at the position and appends what it stands for.
  private mutating func unescape() throws(JSONError) {
    let start = position
    position += 1
    let byte = current
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): scratch.append(byte)
    case UInt8(ascii: "b"): scratch.append(0x08)
    case UInt8(ascii: "f"): scratch.append(0x0c)
    case UInt8(ascii: "n"): scratch.append(0x0a)
    case UInt8(ascii: "r"): scratch.append(0x0d)
    case UInt8(ascii: "t"): scratch.append(0x09)
    case UInt8(ascii: "u"):
      guard let unit = codeUnit() else { throw failure(.badEscape, at: start) }
      scratch.append(contentsOf: String(scalar(unit)).utf8)
    default: throw failure(.badEscape, at: start)
    }
  }

  /// The scalar of a code unit and, where it opens a surrogate pair, of the escape after it; a lone surrogate stands
  /// for no character and becomes U+FFFD.
  private mutating func scalar(_ unit: UInt16) -> Unicode.Scalar {
    guard UTF16.isLeadSurrogate(unit) else { return Unicode.Scalar(unit) ?? "\u{FFFD}" }
    let afterLead = position
    guard current == UInt8(ascii: "\\") else { return "\u{FFFD}" }
    position += 1
    guard current == UInt8(ascii: "u") else {
      position = afterLead
      return "\u{FFFD}"
    }
    position += 1
    guard let trail = codeUnit(), UTF16.isTrailSurrogate(trail) else {
      position = afterLead
      return "\u{FFFD}"
    }
    return Unicode.Scalar(0x10000 + (UInt32(unit - 0xd800) << 10 | UInt32(trail - 0xdc00))) ?? "\u{FFFD}"
  }

  /// Four hexadecimal digits at the position.
  private mutating func codeUnit() -> UInt16? {
    guard position + 4 <= bytes.count else { return nil }
    var unit: UInt16 = 0
    for _ in 0..<4 {
      let byte = bytes[position]
      let digit: UInt8
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
      default: return nil
      }
      unit = unit << 4 | UInt16(digit)
      position += 1
    }
    return unit
  }

  /// Appends a run between escapes, which must be valid on its own: an escape never completes a character.
  private mutating func appendRun(_ range: Range<Int>) throws(JSONError) {
    let run = UnsafeBufferPointer(rebasing: bytes[range])
    if run.contains(where: { $0 >= 0x80 }), String(validUTF8: run) == nil {
      throw failure(.invalidUTF8, at: range.lowerBound + Self.firstInvalid(run))
    }
    scratch.append(contentsOf: run)
  }

  /// The offset of the first byte that begins no valid character; the count where there is none.
  private static func firstInvalid(_ run: UnsafeBufferPointer<UInt8>) -> Int {
    var offset = 0
    while offset < run.count {
      let lead = run[offset]
      let length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
      guard offset + length <= run.count,
        String(validUTF8: UnsafeBufferPointer(rebasing: run[offset..<offset + length])) != nil
      else { return offset }
      offset += length
    }
    return offset
  }
}
