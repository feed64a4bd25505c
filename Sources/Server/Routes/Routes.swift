import ModelJSON
import NIOHTTP1

/// Finds the handler of a path.
struct Routes: Sendable {
  private typealias Handler = @Sendable (Routes, HTTPRequest, Int) async throws -> HTTPResponse

  let model: ServedModel
  let scheduler: RequestScheduler
  let conversations: ConversationStore
  let responses: ResponseStore
  /// Where sessions outlive the server; nil where they do not.
  var archive: SessionArchive?

  private static let table: [String: (method: HTTPMethod, handler: Handler)] = [
    "/openapi.json": (.GET, { _, _, _ in .text(Routes.description, type: "application/json") }),
    "/health": (.GET, { routes, _, _ in try routes.health() }),
    "/metrics": (.GET, { routes, _, _ in routes.metrics() }),
    "/v1/models": (.GET, { routes, _, _ in routes.modelList() }),
    "/v1/chat/completions": (.POST, { try await $0.chatCompletion($1.json(), owner: $2) }),
    "/v1/completions": (.POST, { try await $0.completion($1.json(), owner: $2) }),
    "/v1/responses": (.POST, { try await $0.response($1.json(), owner: $2) }),
    "/v1/embeddings": (.POST, { try await $0.embeddings($1.json(), owner: $2) }),
    "/v1/sessions": (.GET, { routes, _, owner in try await routes.sessionList(owner: owner) }),
    "/v1/messages": (.POST, { try await $0.message($1.json(), owner: $2) }),
    "/v1/messages/count_tokens": (.POST, { try $0.countTokens($1.json(), owner: $2) }),
    "/tokenize": (.POST, { routes, request, _ in try routes.tokenize(request.json()) }),
    "/detokenize": (.POST, { routes, request, _ in try routes.detokenize(request.json()) }),
    "/apply-template": (.POST, { try $0.applyTemplate($1.json(), owner: $2) }),
  ]

  /// What is served, as OpenAPI has it.
  private static let description = String(decoding: PackageResources.openapi_json, as: UTF8.self)

  private static let modelPrefix = "/v1/models/"
  private static let sessionPrefix = "/v1/sessions/"

  private typealias SessionHandler = @Sendable (Routes, HTTPRequest, String, Int) async throws -> HTTPResponse

  /// What follows the name of a session.
  private static let sessionTable: [String: [String: SessionHandler]] = [
    "": [
      "GET": { routes, _, name, owner in try await routes.keptSession(name, owner: owner) },
      "DELETE": { routes, _, name, owner in try await routes.forgetSession(name, owner: owner) },
    ],
    "fork": ["POST": { try await $0.forkSession($2, $1.json(), owner: $3) }],
    "pin": ["POST": { routes, _, name, owner in try await routes.pinSession(name, true, owner: owner) }],
    "unpin": ["POST": { routes, _, name, owner in try await routes.pinSession(name, false, owner: owner) }],
    "memory": [
      "GET": { routes, _, name, owner in try await routes.sessionMemory(name, owner: owner) },
      "POST": { try await $0.readSession($2, $1.json(), owner: $3) },
    ],
    "tokens": ["GET": { routes, _, name, owner in try await routes.sessionTokens(name, owner: owner) }],
  ]

  /// All routes but the page's files, as OpenAPI spells them.
  static var all: Set<String> {
    var all: Set<String> = ["GET \(modelPrefix){name}", "GET \(responsePrefix){id}", "DELETE \(responsePrefix){id}"]
    for (path, (method, _)) in table { all.insert("\(method.rawValue) \(path)") }
    for (rest, handlers) in sessionTable {
      for method in handlers.keys { all.insert("\(method) \(sessionPrefix){name}\(rest.isEmpty ? "" : "/")\(rest)") }
    }
    return all
  }

  func respond(to request: HTTPRequest, owner: Int) async throws -> HTTPResponse {
    if let file = PageFile.all[request.path] {
      guard request.method == .GET else { throw Self.wrongMethod(["GET"]) }
      return .file(file)
    }
    if request.path.hasPrefix(Self.modelPrefix), request.method == .GET {
      return try describedModel(String(request.path.dropFirst(Self.modelPrefix.count)))
    }
    if request.path.hasPrefix(Self.sessionPrefix) {
      return try await respond(to: request, session: request.path.dropFirst(Self.sessionPrefix.count), owner)
    }
    if request.path.hasPrefix(Self.responsePrefix) { return try storedResponse(request, owner: owner) }
    guard let (method, handler) = Self.table[request.path] else {
      throw Self.nothingHere
    }
    guard request.method == method else { throw Self.wrongMethod([method.rawValue]) }
    return try await handler(self, request, owner)
  }

  /// - Parameter session: the name, perhaps a slash and what of it is asked for
  private func respond(to request: HTTPRequest, session: Substring, _ owner: Int) async throws -> HTTPResponse {
    let parts = session.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    let name = String(parts[0]).removingPercentEscapes
    guard !name.isEmpty, let handlers = Self.sessionTable[parts.count > 1 ? String(parts[1]) : ""] else {
      throw Self.nothingHere
    }
    guard let handler = handlers[request.method.rawValue] else { throw Self.wrongMethod(Array(handlers.keys)) }
    try ChatFields.checkSession(name)
    return try await handler(self, request, name, owner)
  }

  private static let nothingHere = RequestError(
    status: 404, code: "not_found", message: "there is nothing at this path")

  private static func wrongMethod(_ methods: [String]) -> RequestError {
    let allowed = methods.sorted().joined(separator: ", ")
    return RequestError(
      status: 405, code: "method_not_allowed", message: "this path takes \(allowed)", allow: allowed)
  }

  /// An error in the form of the API that the path belongs to.
  func json(of error: RequestError, for path: String) -> JSONValue {
    path.hasPrefix("/v1/messages") ? error.anthropicJSON : error.json
  }

  /// A name for something that is answered.
  static func identifier(_ prefix: String) -> String { prefix + String(UInt64.random(in: 1 << 60 ... .max), radix: 16) }
}
