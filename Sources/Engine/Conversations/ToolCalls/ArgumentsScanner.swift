import ModelJSON

/// Follows the arguments of a call, an object of JSON, while they come; a byte costs a few instructions, whatever came before.
///
/// Takes what `CallScanner.object` takes: what is left to check, numbers and escapes, is the reader's of whole calls.
struct ArgumentsScanner: Sendable {
  enum State: Sendable, Equatable {
    case open
    case ended
    /// No object, whatever comes.
    case broken
  }

  /// What may come next.
  private enum Expected {
    case value
    case valueOrEnd
    case key
    case keyOrEnd
    case colon
    case commaOrEnd
  }

  private enum Token {
    case none
    /// Inside a string; whether the next byte is escaped, and whether it is a member's key.
    case string(isEscaped: Bool, isKey: Bool)
    /// Inside `true`, `false` or `null`: what is left of it.
    case word(ArraySlice<UInt8>)
    case number
  }

  private(set) var state = State.open
  /// Brackets that are open.
  private var closings: [UInt8] = []
  private var expected = Expected.value
  private var token = Token.none

  /// Takes in bytes up to the object's end, or to the first one that is not of it.
  ///
  /// - Returns: how many are of the object
  mutating func take(_ bytes: ArraySlice<UInt8>) -> Int {
    var count = 0
    for byte in bytes {
      guard state == .open else { break }
      take(byte)
      if state != .broken { count += 1 }
    }
    return count
  }

  private mutating func take(_ byte: UInt8) {
    switch token {
    case .string(isEscaped: true, let isKey): token = .string(isEscaped: false, isKey: isKey)
    case .string(isEscaped: false, let isKey):
      switch byte {
      case UInt8(ascii: "\""):
        token = .none
        expected = isKey ? .colon : .commaOrEnd
      case UInt8(ascii: "\\"): token = .string(isEscaped: true, isKey: isKey)
      case ..<0x20: state = .broken
      default: break
      }
    case .word(let rest):
      guard rest.first == byte else { return state = .broken }
      token = rest.count == 1 ? .none : .word(rest.dropFirst())
    case .number where CallScanner.isOfNumber(byte): break
    case .number, .none:
      token = .none
      if !CallScanner.isSpace(byte) { begin(byte) }
    }
  }

  /// What begins with a byte that is no space, outside of strings and words.
  private mutating func begin(_ byte: UInt8) {
    switch (expected, byte) {
    case (.commaOrEnd, UInt8(ascii: ",")): expected = closings.last == UInt8(ascii: "}") ? .key : .value
    case (.commaOrEnd, _), (.keyOrEnd, UInt8(ascii: "}")), (.valueOrEnd, UInt8(ascii: "]")): close(byte)
    case (.colon, UInt8(ascii: ":")): expected = .value
    case (.key, UInt8(ascii: "\"")), (.keyOrEnd, UInt8(ascii: "\"")): token = .string(isEscaped: false, isKey: true)
    case (.value, _), (.valueOrEnd, _): value(byte)
    default: state = .broken
    }
  }

  private mutating func close(_ byte: UInt8) {
    guard closings.last == byte else { return state = .broken }
    closings.removeLast()
    expected = .commaOrEnd
    if closings.isEmpty { state = .ended }
  }

  private mutating func value(_ byte: UInt8) {
    expected = .commaOrEnd
    // The arguments themselves are an object.
    guard closings.count < JSONValue.depthLimit, !closings.isEmpty || byte == UInt8(ascii: "{") else {
      return state = .broken
    }
    switch byte {
    case UInt8(ascii: "{"): open(UInt8(ascii: "}"), .keyOrEnd)
    case UInt8(ascii: "["): open(UInt8(ascii: "]"), .valueOrEnd)
    case UInt8(ascii: "\""): token = .string(isEscaped: false, isKey: false)
    case UInt8(ascii: "t"): token = .word(Self.yes)
    case UInt8(ascii: "f"): token = .word(Self.no)
    case UInt8(ascii: "n"): token = .word(Self.null)
    case _ where CallScanner.startsNumber(byte): token = .number
    default: state = .broken
    }
  }

  private mutating func open(_ closing: UInt8, _ next: Expected) {
    closings.append(closing)
    expected = next
  }

  private static let yes = Array("rue".utf8)[...]
  private static let no = Array("alse".utf8)[...]
  private static let null = Array("ull".utf8)[...]
}
