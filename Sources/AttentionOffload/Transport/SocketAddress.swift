import CLibrary

/// Where a worker listens.
package enum SocketAddress: Sendable, Hashable, CustomStringConvertible {
  case tcp(host: String, port: UInt16)
  case unix(path: String)

  /// Reads `host:port`, `[IPv6]:port`, or `unix:/path`.
  ///
  /// - Throws: `OffloadError.badSetting` where it is none.
  package init(_ text: String) throws(OffloadError) {
    if text.hasPrefix("unix:") {
      let path = String(text.dropFirst(5))
      guard !path.isEmpty, path.utf8.count < 104 else {
        throw .badSetting("'\(text)' is no address: a socket's path has 1 to 103 bytes")
      }
      self = .unix(path: path)
      return
    }
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
      throw .badSetting("'\(text)' is no address: write host:port or unix:/path")
    }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
    guard !host.isEmpty else { throw .badSetting("'\(text)' is no address: the host is missing") }
    self = .tcp(host: String(host), port: port)
  }

  package var description: String {
    switch self {
    case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    case .unix(let path): "unix:\(path)"
    }
  }

  /// Whether only this machine can reach it.
  package var isLocal: Bool {
    switch self {
    case .unix: true
    case .tcp(let host, _): host == "localhost" || host == "::1" || host.hasPrefix("127.")
    }
  }

  /// Calls `body` with what the system takes for the address, one possibility after another until one succeeds.
  ///
  /// - Returns: what `body` returned, or nil where nothing did.
  func forEachSystemAddress<Result>(
    _ body: (_ family: Int32, UnsafePointer<sockaddr>, socklen_t) -> Result?
  ) -> Result? {
    switch self {
    case .unix(let path):
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      withUnsafeMutableBytes(of: &address.sun_path) { target in
        for (index, byte) in path.utf8.enumerated() where index < target.count - 1 { target[index] = byte }
      }
      return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          body(AF_UNIX, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
      }
    case .tcp(let host, let port):
      var hints = addrinfo()
      hints.ai_socktype = socketKind
      var list: UnsafeMutablePointer<addrinfo>?
      guard getaddrinfo(host, "\(port)", &hints, &list) == 0 else { return nil }
      defer { freeaddrinfo(list) }
      var next = list
      while let entry = next {
        if let address = entry.pointee.ai_addr,
          let result = body(entry.pointee.ai_family, UnsafePointer(address), entry.pointee.ai_addrlen)
        {
          return result
        }
        next = entry.pointee.ai_next
      }
      return nil
    }
  }
}

#if canImport(Glibc)
  let socketKind = Int32(SOCK_STREAM.rawValue)
#else
  let socketKind = Int32(SOCK_STREAM)
#endif
