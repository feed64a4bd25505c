import Foundation
import ModelJSON

/// A client for tests: one request a connection, on a thread of its own, so that it never waits for Swift's pool.
struct HTTPClient: Sendable {
  let port: Int
  var fields: [(name: String, value: String)] = []

  struct Response: Sendable {
    let status: Int
    /// Names in lower case.
    let fields: [String: String]
    let body: String

    var json: JSONValue { (try? JSONValue(parsing: body)) ?? .null }

    /// The data of server-sent events, in order.
    var events: [String] {
      body.components(separatedBy: "\n\n").compactMap { event in
        event.split(separator: "\n").first { $0.hasPrefix("data: ") }.map { String($0.dropFirst(6)) }
      }
    }
  }

  struct Failure: Error { let reason: String }

  func get(_ path: String) async throws -> Response { try await send("GET", path, nil) }

  func post(_ path: String, _ body: JSONValue) async throws -> Response { try await post(path, body.text) }

  func post(_ path: String, _ body: String, type: String = "application/json") async throws -> Response {
    try await send("POST", path, body, type: type)
  }

  func send(_ method: String, _ path: String, _ body: String?, type: String = "application/json") async throws
    -> Response
  {
    let (port, bytes) = (port, request(method, path, body, type: type))
    return try await withCheckedThrowingContinuation { continuation in
      Thread.detachNewThread {
        continuation.resume(
          with: Result {
            let connection = try Connection(port: port)
            try connection.send(bytes)
            return try Self.response(from: connection.readToEnd())
          })
      }
    }
  }

  /// The bytes of a request.
  func request(_ method: String, _ path: String, _ body: String?, type: String = "application/json") -> [UInt8] {
    var head = "\(method) \(path) HTTP/1.1\r\nConnection: close\r\n"
    if !fields.contains(where: { $0.name == "Host" }) { head += "Host: localhost:\(port)\r\n" }
    for (name, value) in fields { head += "\(name): \(value)\r\n" }
    if let body { head += "Content-Type: \(type)\r\nContent-Length: \(body.utf8.count)\r\n" }
    return Array((head + "\r\n" + (body ?? "")).utf8)
  }

  static func response(from bytes: [UInt8]) throws -> Response {
    guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { throw Failure(reason: "no response") }
    let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
    guard let status = lines[0].split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
      throw Failure(reason: "no status in '\(lines[0])'")
    }
    var fields: [String: String] = [:]
    for line in lines.dropFirst() {
      let parts = line.split(separator: ":", maxSplits: 1)
      fields[parts[0].lowercased()] = parts.count > 1 ? parts[1].trimmingCharacters(in: .whitespaces) : ""
    }
    var body = Array(bytes[end.upperBound...])
    if fields["transfer-encoding"] == "chunked" { body = joined(body) }
    return Response(status: status, fields: fields, body: String(decoding: body, as: UTF8.self))
  }

  /// The content of chunks.
  private static func joined(_ chunked: [UInt8]) -> [UInt8] {
    var (rest, body) = (chunked[...], [UInt8]())
    while let line = rest.firstRange(of: Array("\r\n".utf8)),
      let count = Int(String(decoding: rest[..<line.lowerBound], as: UTF8.self), radix: 16), count > 0
    {
      rest = rest[line.upperBound...]
      body += rest.prefix(count)
      rest = rest.dropFirst(count + 2)
    }
    return body
  }
}

/// A TCP connection to this machine.
final class Connection: Sendable {
  private let descriptor: Int32

  init(port: Int) throws {
    #if canImport(Darwin)
      let type = SOCK_STREAM
    #else
      let type = Int32(SOCK_STREAM.rawValue)
    #endif
    descriptor = socket(AF_INET, type, 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let descriptor = descriptor
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, size) }
    }
    guard result == 0 else { throw HTTPClient.Failure(reason: "no connection to port \(port)") }
  }

  deinit { close(descriptor) }

  func send(_ bytes: [UInt8]) throws {
    #if canImport(Darwin)
      let flags: Int32 = 0
    #else
      let flags = Int32(MSG_NOSIGNAL)
    #endif
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Foundation.send(descriptor, $0.baseAddress, $0.count, flags) }
      guard count > 0 else { throw HTTPClient.Failure(reason: "the server closed the connection") }
      rest = rest.dropFirst(count)
    }
  }

  /// What has come, at most some; empty at the end.
  func read() -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    let count = recv(descriptor, &buffer, buffer.count, 0)
    return Array(buffer.prefix(max(0, count)))
  }

  func readToEnd() -> [UInt8] {
    var bytes: [UInt8] = []
    while true {
      let more = read()
      if more.isEmpty { return bytes }
      bytes += more
    }
  }
}
