/// Why a text is not JSON, and where: "line 3, column 14: expected ':' after the key".
package struct JSONError: Error, Sendable, Hashable {
  enum Code: Sendable, Hashable {
    case expectedValue
    case expectedKey
    case expectedColon
    case expectedCommaOrEnd(of: String)
    case unterminatedString
    case controlCharacter(UInt8)
    case badEscape
    case badNumber
    case numberOutOfRange
    case invalidUTF8
    case tooDeep(limit: Int)
    case trailingBytes
    case tooLarge(bytes: Int)
  }

  let code: Code
  /// The byte where the trouble is, counted from 0.
  package let offset: Int
  /// The line of `offset`, counted from 1.
  package let line: Int
  /// The byte of `offset` in its line, counted from 1.
  package let column: Int

  init(_ code: Code, at offset: Int, in bytes: UnsafeBufferPointer<UInt8>) {
    let before = bytes[..<min(offset, bytes.count)]
    self.code = code
    self.offset = offset
    line = 1 + before.count { $0 == UInt8(ascii: "\n") }
    column = 1 + before.count - (before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0)
  }
}

extension JSONError: CustomStringConvertible {
  package var description: String { "line \(line), column \(column): \(reason)" }

  /// Why, without the place.
  package var reason: String {
    switch code {
    case .expectedValue: "expected a value"
    case .expectedKey: "expected a key in double quotes"
    case .expectedColon: "expected ':' after the key"
    case .expectedCommaOrEnd(let container): "expected ',' or the end of the \(container)"
    case .unterminatedString: "the string has no end"
    case .controlCharacter(let byte): "control character \(byte) in a string must be escaped"
    case .badEscape: "unknown escape in a string"
    case .badNumber: "malformed number"
    case .numberOutOfRange: "the number is too large for a double"
    case .invalidUTF8: "invalid UTF-8"
    case .tooDeep(let limit): "nested deeper than \(limit) levels"
    case .trailingBytes: "something follows the value"
    case .tooLarge(let bytes): "\(bytes) bytes of JSON are more than this reader takes"
    }
  }
}
