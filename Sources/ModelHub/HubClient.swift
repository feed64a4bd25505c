import CLibrary

/// Requests to a hub: redirects by our own rules, bounded repetition where a hub is busy or a connection was cut.
package struct HubClient: Sendable {
  package let access: HubAccess
  let transport: any HTTPTransport
  /// Waits; throws where the user ends it.
  let wait: @Sendable (_ seconds: Int) throws(HubError) -> Void
  /// How often a request that brings nothing new is repeated.
  let repetitions: Int

  private static let redirectLimit = 10
  /// A hub that asks for a longer pause gets it from the user.
  private static let longestWait = 60

  package init(
    access: HubAccess, transport: any HTTPTransport, repetitions: Int = 4,
    wait: @escaping @Sendable (_ seconds: Int) throws(HubError) -> Void
  ) {
    self.access = access
    self.transport = transport
    self.repetitions = repetitions
    self.wait = wait
  }

  /// The whole body of an answer with status 200, of at most `limit` bytes, and its head.
  func contents(of url: HubURL, repository: String, limit: Int = 64 << 20) throws(HubError) -> ([UInt8], HTTPHead) {
    let answer = try repeating { () throws(HubError) in
      let collector = Collector(repository: repository, limit: limit) { head throws(HubError) in
        try check(head, host: url.host, repository: repository)
      }
      try send(url, to: collector)
      return collector
    }
    guard let head = answer.head else { throw HubError(.badListing(repository: repository, reason: "no answer came")) }
    return (answer.bytes, head)
  }

  /// Sends a request along all its redirects; the receiver sees the last response only.
  ///
  /// - Returns: what the responses before the last one said.
  @discardableResult
  func send(
    _ url: HubURL, fields: [(name: String, value: String)] = [], to receiver: any HTTPReceiver
  ) throws(HubError) -> [HTTPHead] {
    var url = url
    var heads: [HTTPHead] = []
    while true {
      let hop = Hop(receiver: receiver, before: heads)
      try transport.send(HTTPRequest(url: url, fields: fields + access.fields(to: url)), to: hop)
      guard let head = hop.redirect else { return heads }
      heads.append(head)
      guard heads.count <= Self.redirectLimit else {
        throw HubError(.badRedirect(host: url.host, reason: "in circles"))
      }
      guard let next = head["location"].flatMap({ url.resolving($0) }) else {
        throw HubError(.badRedirect(host: url.host, reason: "to no address"))
      }
      guard next.isSecure || !url.isSecure else {
        throw HubError(.badRedirect(host: url.host, reason: "from https to http, which is not followed"))
      }
      url = next
    }
  }

  /// Repeats what fails in passing, after pauses that double or as long as the hub asks; `progress` begins the count anew.
  func repeating<Result>(
    progress: () -> Int = { 0 }, _ body: () throws(HubError) -> Result
  ) throws(HubError) -> Result {
    var failures = 0
    var before = progress()
    while true {
      do throws(HubError) {
        return try body()
      } catch {
        if progress() > before { failures = 0 }
        before = progress()
        guard error.isPassing, failures < repetitions, error.waitSeconds ?? 0 <= Self.longestWait else { throw error }
        try wait(error.waitSeconds ?? min(1 << failures, 16))
        failures += 1
      }
    }
  }

  /// Throws for every status that is no success, in the words of what was asked for.
  func check(_ head: HTTPHead, host: String, repository: String, file: String? = nil) throws(HubError) {
    let hasToken = access.token != nil
    let code = head["x-error-code"] ?? ""
    switch head.status {
    case 200...299: return
    case 401, 403:
      if code == "RepoNotFound" { throw HubError(.noRepository(repository, hasToken: hasToken)) }
      throw HubError(.unauthorised(repository: repository, hasToken: hasToken))
    case 404:
      if let file { throw HubError(.noFile(file, repository: repository)) }
      throw HubError(.noRepository(repository, hasToken: hasToken))
    case 408, 429, 500...599:
      let seconds = head["retry-after"].flatMap { Int($0) }.map { max(0, min($0, 1_000_000)) }
      throw HubError(.busy(host: host, status: head.status, seconds: seconds))
    default: throw HubError(.status(head.status, host: host))
    }
  }
}

/// One response on a chain of redirects.
private final class Hop: HTTPReceiver {
  let receiver: any HTTPReceiver
  let before: [HTTPHead]
  private(set) var redirect: HTTPHead?
  private var ignored = 0

  init(receiver: any HTTPReceiver, before: [HTTPHead]) {
    self.receiver = receiver
    self.before = before
  }

  func receive(_ head: HTTPHead) throws(HubError) {
    switch head.status {
    case 301, 302, 303, 307, 308: redirect = head
    default: try receiver.receive(head)
    }
  }

  func receive(_ bytes: UnsafeRawBufferPointer) throws(HubError) {
    guard redirect != nil else { return try receiver.receive(bytes) }
    ignored += bytes.count
    if ignored > 1 << 20 { throw HubError(.badRedirect(host: "the hub", reason: "with a page that does not end")) }
  }
}

/// A body in memory.
private final class Collector: HTTPReceiver {
  private(set) var head: HTTPHead?
  private(set) var bytes: [UInt8] = []
  private let repository: String
  private let limit: Int
  private let check: (HTTPHead) throws(HubError) -> Void

  init(repository: String, limit: Int, check: @escaping (HTTPHead) throws(HubError) -> Void) {
    self.repository = repository
    self.limit = limit
    self.check = check
  }

  func receive(_ head: HTTPHead) throws(HubError) {
    try check(head)
    self.head = head
  }

  func receive(_ bytes: UnsafeRawBufferPointer) throws(HubError) {
    guard self.bytes.count + bytes.count <= limit else {
      throw HubError(.badListing(repository: repository, reason: "it is longer than \(limit) bytes"))
    }
    self.bytes.append(contentsOf: bytes)
  }
}
