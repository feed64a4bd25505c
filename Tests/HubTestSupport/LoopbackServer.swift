import Foundation
import Synchronization

/// A request as a server of the tests sees it.
package struct LoopbackRequest: Sendable {
  /// Path and query.
  package let path: String
  /// Names in lower case.
  package let fields: [String: String]
}

/// What such a server answers, truthful or not.
package struct LoopbackResponse: Sendable {
  package var status: Int
  package var fields: [(String, String)] = []
  package var body: [UInt8] = []
  /// The length that is announced; nil announces none, and the body ends with the connection.
  package var announcedLength: Int?
  /// How many bytes of the body are sent before the connection is cut; nil sends all.
  package var cut: Int?
  /// Whether the server then holds the connection open, silent, until the client gives up.
  package var stalls = false

  package init(status: Int, fields: [(String, String)] = [], body: [UInt8] = []) {
    self.status = status
    self.fields = fields
    self.body = body
    announcedLength = body.count
  }

  /// Replaces the body and its announced length.
  package mutating func replaceBody(_ body: [UInt8]) {
    self.body = body
    announcedLength = body.count
  }
}

/// An HTTP/1.1 server on 127.0.0.1, one request a connection, a thread each.
package final class LoopbackServer: Sendable {
  package let port: Int
  private let listener: Int32
  private let handler: @Sendable (LoopbackRequest) -> LoopbackResponse
  private let seen = Mutex<[LoopbackRequest]>([])

  package var address: String { "http://127.0.0.1:\(port)" }
  /// All requests so far.
  package var requests: [LoopbackRequest] { seen.withLock { $0 } }

  package init(_ handler: @escaping @Sendable (LoopbackRequest) -> LoopbackResponse) throws {
    self.handler = handler
    #if canImport(Darwin)
      listener = socket(AF_INET, SOCK_STREAM, 0)
    #else
      listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    #endif
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let listener = listener
    let failed = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        bind(listener, address, size) != 0 || listen(listener, 64) != 0 || getsockname(listener, address, &size) != 0
      }
    }
    guard !failed else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    port = Int(UInt16(bigEndian: address.sin_port))
    Thread.detachNewThread { [weak self] in
      while true {
        let connection = accept(listener, nil, nil)
        guard connection >= 0, let self else { return }
        Thread.detachNewThread { self.serve(connection) }
      }
    }
  }

  deinit {
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
  }

  private func serve(_ connection: Int32) {
    defer { close(connection) }
    #if canImport(Darwin)
      var yes: Int32 = 1
      setsockopt(connection, SOL_SOCKET, SO_NOSIGPIPE, &yes, socklen_t(MemoryLayout<Int32>.size))
    #endif
    guard let request = Self.read(connection) else { return }
    seen.withLock { $0.append(request) }
    let response = handler(request)
    var head = "HTTP/1.1 \(response.status) Status\r\nConnection: close\r\n"
    for (name, value) in response.fields { head += "\(name): \(value)\r\n" }
    if let length = response.announcedLength { head += "Content-Length: \(length)\r\n" }
    Self.send(Array((head + "\r\n").utf8)[...], connection)
    Self.send(response.body.prefix(response.cut ?? response.body.count), connection)
    guard response.stalls else { return }
    var byte: UInt8 = 0
    while recv(connection, &byte, 1, 0) > 0 {}
  }

  private static func read(_ connection: Int32) -> LoopbackRequest? {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while !bytes.suffix(4).elementsEqual("\r\n\r\n".utf8) {
      let count = recv(connection, &buffer, buffer.count, 0)
      guard count > 0 else { return nil }
      bytes += buffer[..<count]
    }
    let lines = String(decoding: bytes, as: UTF8.self).components(separatedBy: "\r\n")
    let words = lines[0].split(separator: " ")
    guard words.count == 3, words[0] == "GET" else { return nil }
    var fields: [String: String] = [:]
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { continue }
      fields[line[..<colon].lowercased()] = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
    }
    return LoopbackRequest(path: String(words[1]), fields: fields)
  }

  private static func send(_ bytes: ArraySlice<UInt8>, _ connection: Int32) {
    #if canImport(Darwin)
      let flags: Int32 = 0
    #else
      let flags = Int32(MSG_NOSIGNAL)
    #endif
    var rest = bytes
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Foundation.send(connection, $0.baseAddress, $0.count, flags) }
      guard count > 0 else { return }
      rest = rest.dropFirst(count)
    }
  }
}
