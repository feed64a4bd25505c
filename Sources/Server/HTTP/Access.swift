import Kernels
import NIOHTTP1

/// Who may ask: API keys, and on a loopback address only requests that were meant for it.
struct Access: Sendable {
  /// Digests of the keys, so that all comparisons take the same time.
  private let keys: [[UInt8]]
  /// Whether the host of a request must be this machine by name: a page whose name was made to point here is refused
  /// (DNS rebinding).
  private let isLoopback: Bool

  init(keys: [String], isLoopback: Bool) {
    self.keys = keys.map(Self.digest)
    self.isLoopback = isLoopback
  }

  /// A text for each number of a key that is the same whatever other keys there are.
  var tenants: [String] {
    keys.isEmpty
      ? [""] : keys.map { $0.prefix(8).map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined() }
  }

  /// What says nothing of any conversation: whether the server is well, what it serves, and the page, which then asks for
  /// a key.
  private static func isOpen(_ path: String) -> Bool {
    ["/health", "/openapi.json"].contains(path) || PageFile.all[path] != nil
  }

  /// The number of the request's key; 0 where no keys are asked for.
  ///
  /// - Throws: `RequestError` of status 401.
  func owner(of request: HTTPRequest) throws(RequestError) -> Int {
    guard !keys.isEmpty, !Self.isOpen(request.path) else { return 0 }
    var given = request.headers.first(name: "x-api-key")
    if let authorization = request.headers.first(name: "authorization"),
      authorization.lowercased().hasPrefix("bearer ")
    {
      given = String(authorization.dropFirst(7))
    }
    let digest = Self.digest(given ?? "")
    var owner: Int?
    for (index, key) in keys.enumerated() {
      let difference = zip(key, digest).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) }
      if difference == 0 { owner = index }
    }
    guard let owner else {
      throw RequestError(
        status: 401, code: "invalid_api_key",
        message: given == nil ? "an API key is needed, as a bearer token or in x-api-key" : "the API key is wrong")
    }
    return owner
  }

  /// - Throws: `RequestError` of status 403 or 400.
  func checkHost(_ request: HTTPRequest) throws(RequestError) {
    guard isLoopback else { return }
    let hosts = request.headers["host"]
    guard hosts.count == 1, let host = hosts.first else {
      throw .bad(nil, "the request must name one host")
    }
    guard Self.isLocal(host) else {
      throw RequestError(status: 403, code: "foreign_host", message: "this server answers to local names only")
    }
  }

  /// Whether a host, with or without a port, is this machine.
  static func isLocal(_ host: String) -> Bool {
    var name = host[...]
    if name.hasPrefix("[") {
      name = name.dropFirst().prefix { $0 != "]" }
    } else if let colon = name.lastIndex(of: ":"), name.firstIndex(of: ":") == colon {
      name = name[..<colon]
    }
    return ["localhost", "127.0.0.1", "::1"].contains(name.lowercased())
  }

  private static func digest(_ key: String) -> [UInt8] {
    var hash = SHA256()
    Array(key.utf8).withUnsafeBytes { hash.update($0) }
    return hash.finalize()
  }
}
