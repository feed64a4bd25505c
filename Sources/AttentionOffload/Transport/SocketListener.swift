import CLibrary
import Synchronization

/// Takes connections in.
package final class SocketListener: Sendable {
  private let descriptor: Int32
  /// With the port that was taken, where any would do.
  package let address: SocketAddress
  private let isClosed = Atomic<Bool>(false)

  /// Listens; port 0 takes any that is free. A Unix socket replaces one that nobody listens at.
  ///
  /// - Throws: `OffloadError.badSetting` where the address cannot be had.
  package init(_ address: SocketAddress) throws(OffloadError) {
    var reason = "no such host"
    let descriptor = address.forEachSystemAddress { family, target, length -> Int32? in
      let descriptor = socket(family, socketKind, 0)
      guard descriptor >= 0 else { return nil }
      var on: Int32 = 1
      _ = setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
      if case .unix(let path) = address, connect(descriptor, target, length) != 0, errno == ECONNREFUSED {
        unlink(path)
      }
      // Whoever can write to a Unix socket can connect; the key decides, and this is one more door.
      let mask = umask(0o177)
      defer { umask(mask) }
      guard bind(descriptor, target, length) == 0, listen(descriptor, 64) == 0 else {
        reason = String(cString: strerror(errno))
        _ = CLibrary.close(descriptor)
        return nil
      }
      return descriptor
    }
    guard let descriptor else { throw .badSetting("cannot listen at \(address): \(reason)") }
    self.descriptor = descriptor
    if case .tcp(let host, 0) = address {
      self.address = .tcp(host: host, port: Self.port(of: descriptor))
    } else {
      self.address = address
    }
  }

  private static func port(of descriptor: Int32) -> UInt16 {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return withUnsafeMutablePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(descriptor, $0, &length) }
      // The port stands at the same place for IPv4 and IPv6.
      return pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { UInt16(bigEndian: $0.pointee.sin_port) }
    }
  }

  deinit { _ = CLibrary.close(descriptor) }

  /// Waits for the next connection; nil once the listener is closed.
  ///
  /// - Parameters:
  ///   - patience: of the connection, in milliseconds
  ///   - spins: whether frames that come soon are waited for without sleep
  package func accept(patience: Int, spins: Bool = false) -> SocketChannel? {
    while !isClosed.load(ordering: .relaxed) {
      let connection = CLibrary.accept(descriptor, nil, nil)
      if connection >= 0 {
        return SocketChannel(descriptor: connection, name: "a model worker", patience: patience, spins: spins)
      }
      // A connection that is gone again, or no descriptor left for it: others may still come.
      guard errno == EINTR || errno == ECONNABORTED || errno == EMFILE || errno == ENFILE else { return nil }
      if errno == EMFILE || errno == ENFILE { usleep(10_000) }
    }
    return nil
  }

  /// Has `accept` return nil.
  package func close() {
    guard !isClosed.exchange(true, ordering: .relaxed) else { return }
    _ = shutdown(descriptor, Int32(SHUT_RDWR))
    if case .unix(let path) = address { unlink(path) }
  }
}
