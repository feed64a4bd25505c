/// An address of the form `http(s)://HOST[:PORT]/PATH`, no more than following a hub's answers needs.
///
/// No user information, no fragment; the host is in lower case, and the path begins with a slash. Text of any other form is
/// refused rather than guessed at, since credentials go by `origin`.
package struct HubURL: Sendable, Hashable {
  package let isSecure: Bool
  package let host: String
  package let port: Int
  /// Path and query.
  package let path: String

  package init?(_ text: String) {
    let lowercase = text.prefix(8).lowercased()
    isSecure = lowercase.hasPrefix("https://")
    guard isSecure || lowercase.hasPrefix("http://"), text.utf8.count <= 16384,
      text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "\\") })
    else { return nil }
    let rest = text.dropFirst(isSecure ? 8 : 7)
    let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
    let authority = rest[..<end]
    let tail = rest[end...].prefix { $0 != "#" }
    path = tail.hasPrefix("/") ? String(tail) : "/" + tail
    guard let (host, port) = Self.hostAndPort(authority, standard: isSecure ? 443 : 80) else { return nil }
    self.host = host
    self.port = port
  }

  private static func hostAndPort(_ authority: Substring, standard: Int) -> (String, Int)? {
    var host = authority
    var port = standard
    let afterAddress = authority.hasPrefix("[") ? authority.firstIndex(of: "]") : authority.startIndex
    guard let afterAddress else { return nil }
    if let colon = authority[afterAddress...].firstIndex(of: ":") {
      let digits = authority[authority.index(after: colon)...]
      guard digits.utf8.count <= 5, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(digits),
        (1...65535).contains(number)
      else { return nil }
      (host, port) = (authority[..<colon], number)
    }
    let isAddress = host.hasPrefix("[") && host.hasSuffix("]")
    let isPlain = host.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"): true
      case UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"): isAddress
      default: false
      }
    }
    return host.isEmpty || !isPlain ? nil : (host.lowercased(), port)
  }

  /// Scheme, host and port: what must be equal for credentials to go along.
  package var origin: String {
    let isStandard = port == (isSecure ? 443 : 80)
    return (isSecure ? "https://" : "http://") + host + (isStandard ? "" : ":\(port)")
  }

  package var text: String { origin + path }

  /// Whether the host is this machine, so that nothing travels.
  package var isLoopback: Bool {
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    let isAddress = parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    return host == "localhost" || host == "[::1]" || isAddress
  }

  /// Where a `Location` or `Link` of a response of this address leads; nil where that is no such address.
  package func resolving(_ reference: String) -> HubURL? {
    if reference.hasPrefix("//") { return HubURL((isSecure ? "https:" : "http:") + reference) }
    if reference.hasPrefix("/") { return HubURL(origin + reference) }
    // A scheme of its own makes it an address, or nothing that is known here.
    if reference.prefix(while: { $0 != "/" && $0 != "?" && $0 != "#" }).contains(":") { return HubURL(reference) }
    let folder = path.prefix { $0 != "?" }
    let end = folder.lastIndex(of: "/").map { folder.index(after: $0) } ?? folder.endIndex
    return HubURL(origin + folder[..<end] + reference)
  }
}
