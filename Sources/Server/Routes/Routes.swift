import ModelJSON
import NIOHTTP1

/// Finds the handler of a path.
struct Routes: Sendable {
  private typealias Handler = @Sendable (Routes, HTTPRequest, Int) async throws -> HTTPResponse

  let model: ServedModel
  let scheduler: RequestScheduler
  let conversations: ConversationStore
  /// Where sessions outlive the server; nil where they do not.
  var archive: SessionArchive?

  private static let table: [String: (method: HTTPMethod, handler: Handler)] = [
    "/health": (.GET, { routes, _, _ in try routes.health() }),
    "/metrics": (.GET, { routes, _, _ in routes.metrics() }),
    "/v1/models": (.GET, { routes, _, _ in routes.modelList() }),
    "/v1/chat/completions": (.POST, { try await $0.chatCompletion($1.json(), owner: $2) }),
    "/v1/completions": (.POST, { try await $0.completion($1.json(), owner: $2) }),
    "/v1/messages": (.POST, { try await $0.message($1.json(), owner: $2) }),
    "/v1/messages/count_tokens": (.POST, { routes, request, _ in try routes.countTokens(request.json()) }),
    "/tokenize": (.POST, { routes, request, _ in try routes.tokenize(request.json()) }),
    "/detokenize": (.POST, { routes, request, _ in try routes.detokenize(request.json()) }),
    "/apply-template": (.POST, { routes, request, _ in try routes.applyTemplate(request.json()) }),
  ]

  private static let modelPrefix = "/v1/models/"

  func respond(to request: HTTPRequest, owner: Int) async throws -> HTTPResponse {
    if request.path.hasPrefix(Self.modelPrefix), request.method == .GET {
      return try describedModel(String(request.path.dropFirst(Self.modelPrefix.count)))
    }
    if request.path == Self.sessionsPath || request.path.hasPrefix(Self.sessionsPath + "/") {
      return try await sessions(request, owner: owner)
    }
    guard let (method, handler) = Self.table[request.path] else {
      throw RequestError(status: 404, code: "not_found", message: "there is nothing at this path")
    }
    guard request.method == method else {
      throw RequestError(
        status: 405, code: "method_not_allowed", message: "this path takes \(method.rawValue)", allow: method.rawValue)
    }
    return try await handler(self, request, owner)
  }

  /// An error in the form of the API that the path belongs to.
  func json(of error: RequestError, for path: String) -> JSONValue {
    path.hasPrefix("/v1/messages") ? error.anthropicJSON : error.json
  }

  /// A name for something that is answered.
  static func identifier(_ prefix: String) -> String { prefix + String(UInt64.random(in: 1 << 60 ... .max), radix: 16) }
}
