import Logging
import ModelJSON
import NIOCore
import NIOHTTP1

/// Turns requests into answers on the wire: access first, then the route, and errors in the shape of its API.
struct HTTPResponder: Sendable {
  let access: Access
  let routes: Routes
  let logger: Logger

  func answer(
    _ request: HTTPRequest, on channel: any Channel, _ limits: HTTPConnection.Limits, keepsAlive: Bool
  ) async {
    let start = ContinuousClock.now
    routes.scheduler.status.noteAnswer(begins: true)
    defer { routes.scheduler.status.noteAnswer(begins: false) }
    var failure: RequestError?
    var response: HTTPResponse
    do {
      response = try await respond(to: request)
    } catch {
      let known = error as? RequestError ?? (error is CancellationError ? .gone : .failed("\(error)"))
      failure = known
      response = .json(routes.json(of: known, for: request.path), status: known.status)
    }
    await Self.write(
      response, failure, to: channel, limits, keepsAlive: keepsAlive, identifier: request.identifier
    )
    note(request, failure, since: start)
  }

  /// Logs what was asked and how it went, and nothing of what was said.
  private func note(_ request: HTTPRequest, _ failure: RequestError?, since start: ContinuousClock.Instant) {
    let isLookedAt = request.method == .GET && failure == nil
    let duration = (ContinuousClock.now - start).components
    let milliseconds = duration.seconds * 1000 + duration.attoseconds / 1_000_000_000_000_000
    var metadata: Logger.Metadata = [
      "request": "\(request.identifier)", "method": "\(request.method)", "path": "\(Self.printable(request.path))",
      "status": "\(failure?.status ?? 200)", "milliseconds": "\(milliseconds)",
    ]
    metadata["code"] = failure?.code.map { "\($0)" }
    logger.log(level: failure?.status == 500 ? .error : isLookedAt ? .debug : .info, "request", metadata: metadata)
  }

  private func respond(to request: HTTPRequest) async throws -> HTTPResponse {
    try access.checkHost(request)
    let owner = try access.owner(of: request)
    return try await routes.respond(to: request, owner: owner)
  }

  /// Writes an answer; a stream is written while it comes.
  static func write(
    _ response: HTTPResponse, _ failure: RequestError?, to channel: any Channel, _ limits: HTTPConnection.Limits,
    keepsAlive: Bool, identifier: String
  ) async {
    var headers = HTTPHeaders([("x-request-id", identifier), ("x-content-type-options", "nosniff")])
    if let seconds = failure?.retryAfter { headers.add(name: "retry-after", value: "\(seconds)") }
    if let methods = failure?.allow { headers.add(name: "allow", value: methods) }
    if failure?.status == 401 { headers.add(name: "www-authenticate", value: "Bearer") }
    if !keepsAlive { headers.add(name: "connection", value: "close") }
    var status = 200
    var body = ByteBuffer()
    switch response {
    case .json(let value, let code, let further):
      status = code
      for (name, value) in further { headers.add(name: name, value: value) }
      headers.add(name: "content-type", value: "application/json")
      body = ByteBuffer(string: value.text)
    case .text(let text, let type):
      headers.add(name: "content-type", value: type)
      body = ByteBuffer(string: text)
    case .file(let file):
      headers.add(contentsOf: PageFile.headers)
      headers.add(name: "content-type", value: file.type)
      body = ByteBuffer(bytes: file.bytes)
    case .events:
      headers.add(name: "content-type", value: "text/event-stream")
      headers.add(name: "cache-control", value: "no-cache, no-store")
      headers.add(name: "x-accel-buffering", value: "no")
    }
    do {
      if case .events(let send) = response {
        // Where the client has gone the first event finds out, and the answer ends.
        channel.write(HTTPServerResponsePart.head(head(status, headers)), promise: nil)
        try await send(EventWriter(channel: channel, patience: limits.writeTime))
      } else {
        headers.add(name: "content-length", value: "\(body.readableBytes)")
        channel.write(HTTPServerResponsePart.head(head(status, headers)), promise: nil)
        try await channel.write(.body(.byteBuffer(body)), patience: limits.writeTime)
      }
      try await channel.write(.end(nil), patience: limits.writeTime)
      if !keepsAlive { try? await channel.close() }
    } catch {
      try? await channel.close()
    }
  }

  private static func head(_ status: Int, _ headers: HTTPHeaders) -> HTTPResponseHead {
    HTTPResponseHead(version: .http1_1, status: HTTPResponseStatus(statusCode: status), headers: headers)
  }

  static func newIdentifier() -> String { "req_" + String(UInt64.random(in: 1 << 60 ... .max), radix: 16) }

  /// Paths are untrusted: what would steer a terminal is left out of a log.
  private static func printable(_ text: String) -> String {
    String(text.unicodeScalars.prefix(200).map { (0x21..<0x7f).contains($0.value) ? Character($0) : "?" })
  }
}
