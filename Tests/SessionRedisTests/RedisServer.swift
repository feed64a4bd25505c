import Foundation

/// The folder of a server's log, removed with it.
final class RedisLog: Sendable {
  let folder = FileManager.default.temporaryDirectory.appending(path: "sluice-redis-\(UUID().uuidString)").path

  init() { try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }

  deinit { try? FileManager.default.removeItem(atPath: folder) }
}

/// A real server on a socket of this machine, ended with the object.
final class RedisServer: @unchecked Sendable {
  let port: Int
  private let process: Process
  private let log: RedisLog

  /// Where Debian's `redis-server` package puts it; `Scripts/install-redis` installs it.
  private static let paths = ["/usr/bin/redis-server", "/usr/local/bin/redis-server", "/opt/homebrew/bin/redis-server"]

  static var isInstalled: Bool { path != nil }

  private static var path: String? { paths.first { FileManager.default.isExecutableFile(atPath: $0) } }

  struct Failure: Error { let reason: String }

  /// - Parameters:
  ///   - port: nil takes a free one
  ///   - log: where all is written before it is acknowledged; nil keeps it in memory
  ///   - options: further arguments, such as `--maxmemory`
  init(port: Int? = nil, log: RedisLog? = nil, options: [String] = []) throws {
    guard let path = Self.path else { throw Failure(reason: "there is no redis-server") }
    self.log = log ?? RedisLog()
    self.port = try port ?? Self.freePort()
    process = Process()
    process.executableURL = URL(filePath: path)
    process.arguments =
      ["--port", "\(self.port)", "--bind", "127.0.0.1", "--save", "", "--dir", self.log.folder]
      + ["--appendonly", log == nil ? "no" : "yes", "--appendfsync", "always"] + options
    (process.standardInput, process.standardOutput) = (FileHandle.nullDevice, FileHandle.nullDevice)
    process.standardError = FileHandle.nullDevice
    try process.run()
    while !Self.answers(self.port) {
      guard process.isRunning else { throw Failure(reason: "redis-server ended at once") }
      usleep(5_000)
    }
  }

  deinit { stop() }

  func stop() {
    guard process.isRunning else { return }
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }

  /// Has the server answer nothing for a while.
  func pause() { kill(process.processIdentifier, SIGSTOP) }
  func resume() { kill(process.processIdentifier, SIGCONT) }

  private static func socketToThisMachine() -> Int32 {
    #if canImport(Darwin)
      socket(AF_INET, SOCK_STREAM, 0)
    #else
      socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    #endif
  }

  private static func withAddress<Result>(
    _ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) -> Result {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
  }

  static func freePort() throws -> Int {
    let descriptor = socketToThisMachine()
    defer { close(descriptor) }
    guard withAddress(0, { bind(descriptor, $0, $1) }) == 0 else { throw Failure(reason: "no free port") }
    var address = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &size) }
    }
    guard result == 0 else { throw Failure(reason: "no free port") }
    return Int(UInt16(bigEndian: address.sin_port))
  }

  /// Whether it is there and has read its log.
  private static func answers(_ port: Int) -> Bool {
    let descriptor = socketToThisMachine()
    defer { close(descriptor) }
    guard withAddress(port, { connect(descriptor, $0, $1) }) == 0 else { return false }
    let ping = Array("PING\r\n".utf8)
    var reply = [UInt8](repeating: 0, count: 7)
    return send(descriptor, ping, ping.count, 0) == ping.count && recv(descriptor, &reply, reply.count, 0) == 7
      && reply == Array("+PONG\r\n".utf8)
  }
}
