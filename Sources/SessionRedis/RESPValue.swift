import NIOCore

/// A reply in RESP2 (redis.io/docs/reference/protocol-spec).
enum RESPValue: Sendable, Hashable {
  case text(String)
  case error(String)
  case integer(Int64)
  /// Nil where there is nothing.
  case bulk([UInt8]?)
  /// Nil where a transaction was not carried out.
  case array([RESPValue]?)

  var integer: Int64? {
    switch self {
    case .integer(let value): value
    case .bulk(let bytes?): Int64(String(decoding: bytes, as: UTF8.self))
    default: nil
    }
  }

  var bytes: [UInt8]? { if case .bulk(let bytes) = self { bytes } else { nil } }

  var elements: [RESPValue]? { if case .array(let elements) = self { elements } else { nil } }
}

/// What is no RESP.
struct RESPError: Error {}

/// Takes replies off a connection as they come whole.
struct RESPDecoder: ByteToMessageDecoder {
  typealias InboundOut = RESPValue

  /// What a server may claim before it is believed no longer: an element, and elements of an array.
  static let largestBulk = 64 << 20
  static let largestArray = 1 << 20

  mutating func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
    let start = buffer.readerIndex
    guard let value = try Self.read(&buffer, depth: 0) else {
      buffer.moveReaderIndex(to: start)
      return .needMoreData
    }
    context.fireChannelRead(wrapInboundOut(value))
    return .continue
  }

  mutating func decodeLast(
    context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool
  ) throws -> DecodingState { try decode(context: context, buffer: &buffer) }

  /// - Returns: nil where the value has not come whole.
  static func read(_ buffer: inout ByteBuffer, depth: Int) throws -> RESPValue? {
    guard depth < 4, let line = try readLine(&buffer) else {
      if depth >= 4 { throw RESPError() }
      return nil
    }
    let rest = String(line.dropFirst())
    switch line.first {
    case "+": return .text(rest)
    case "-": return .error(rest)
    case ":":
      guard let value = Int64(rest) else { throw RESPError() }
      return .integer(value)
    case "$":
      guard let count = Int(rest), (-1...largestBulk).contains(count) else { throw RESPError() }
      if count < 0 { return .bulk(nil) }
      guard buffer.readableBytes >= count + 2, let bytes = buffer.readBytes(length: count) else { return nil }
      buffer.moveReaderIndex(forwardBy: 2)
      return .bulk(bytes)
    case "*":
      guard let count = Int(rest), (-1...largestArray).contains(count) else { throw RESPError() }
      if count < 0 { return .array(nil) }
      var elements: [RESPValue] = []
      for _ in 0..<count {
        guard let element = try read(&buffer, depth: depth + 1) else { return nil }
        elements.append(element)
      }
      return .array(elements)
    default: throw RESPError()
    }
  }

  private static func readLine(_ buffer: inout ByteBuffer) throws -> String? {
    guard let end = buffer.readableBytesView.firstIndex(of: 0x0a) else {
      if buffer.readableBytes > 1 << 16, buffer.readableBytesView.first != UInt8(ascii: "-") { throw RESPError() }
      return nil
    }
    let length = end - buffer.readerIndex
    guard length >= 2, let line = buffer.readString(length: length - 1) else { throw RESPError() }
    buffer.moveReaderIndex(forwardBy: 2)
    return line
  }
}

/// A command with its arguments.
struct RESPCommand: Sendable {
  private(set) var arguments: [[UInt8]]

  init(_ name: String, _ texts: String...) { arguments = ([name] + texts).map { Array($0.utf8) } }

  mutating func append(_ text: String) { arguments.append(Array(text.utf8)) }
  mutating func append(_ bytes: [UInt8]) { arguments.append(bytes) }
  mutating func append(_ number: Int64) { append(String(number)) }

  func write(to buffer: inout ByteBuffer) {
    buffer.writeString("*\(arguments.count)\r\n")
    for argument in arguments {
      buffer.writeString("$\(argument.count)\r\n")
      buffer.writeBytes(argument)
      buffer.writeString("\r\n")
    }
  }
}
