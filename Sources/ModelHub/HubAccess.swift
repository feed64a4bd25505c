import CLibrary

/// Where the hub is and who asks.
package struct HubAccess: Sendable {
  package static let standardEndpoint = "https://huggingface.co"

  /// The hub's address; its path, without a slash at the end, stands before those of requests.
  package let endpoint: HubURL
  /// Sent to the endpoint's origin and nowhere else.
  let token: String?

  /// The endpoint named, or `HF_ENDPOINT`, or Hugging Face; the token is `HF_TOKEN`, or what `hf auth login` keeps in
  /// `HF_TOKEN_PATH` or `$HF_HOME/token`. A kept token is left out where it would travel without TLS.
  ///
  /// - Throws: `HubError` where the address is none, or `HF_TOKEN` is no token or would travel without TLS.
  package init(endpoint named: String?, environment: [String: String]) throws(HubError) {
    let text = named ?? environment.value("HF_ENDPOINT") ?? Self.standardEndpoint
    var trimmed = text[...]
    while trimmed.hasSuffix("/") { trimmed = trimmed.dropLast() }
    guard let endpoint = HubURL(String(trimmed)), !endpoint.path.contains("?") else {
      throw HubError(.badEndpoint(text))
    }
    self.endpoint = endpoint
    let isPrivate = endpoint.isSecure || endpoint.isLoopback
    if let token = environment.value("HF_TOKEN")?.trimmed {
      guard isPrivate else { throw HubError(.tokenWithoutTLS(endpoint: endpoint.origin)) }
      guard let token = Self.valid(token) else { throw HubError(.badToken) }
      self.token = token
    } else {
      token = isPrivate ? Self.keptToken(environment) : nil
    }
  }

  private static func keptToken(_ environment: [String: String]) -> String? {
    guard let path = environment.value("HF_TOKEN_PATH") ?? HuggingFaceCache.home(environment).map({ $0 + "/token" }),
      let bytes = try? StoredFile.contents(of: path, limit: 4096)
    else { return nil }
    return valid(String(decoding: bytes, as: UTF8.self).trimmed)
  }

  /// A token goes into a header's line, so nothing but visible ASCII passes.
  private static func valid(_ token: String) -> String? {
    (1...1024).contains(token.utf8.count) && token.utf8.allSatisfy { (0x21...0x7e).contains($0) } ? token : nil
  }

  /// The address of a path below the endpoint.
  func url(_ path: String) -> HubURL? {
    let prefix = endpoint.path == "/" ? "" : endpoint.path
    return HubURL(endpoint.origin + prefix + path)
  }

  /// What goes along to an address: the token where it is the hub's own.
  func fields(to url: HubURL) -> [(name: String, value: String)] {
    guard let token, url.origin == endpoint.origin else { return [] }
    return [("Authorization", "Bearer " + token)]
  }
}

extension [String: String] {
  /// A variable that is set and not empty.
  func value(_ name: String) -> String? { self[name].flatMap { $0.isEmpty ? nil : $0 } }
}

extension String {
  fileprivate var trimmed: String {
    let isSpace = { (character: Character) in character.isWhitespace }
    let start = drop(while: isSpace)
    return String(
      start.prefix(start.lastIndex { !isSpace($0) }.map { start.distance(from: start.startIndex, to: $0) + 1 } ?? 0))
  }
}
