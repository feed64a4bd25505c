import ModelJSON
import NIOHTTP1
import SessionStore

/// `/v1/sessions`: what the owner of a key does with the sessions that the server keeps.
extension Routes {
  static let sessionsPath = "/v1/sessions"

  func sessions(_ request: HTTPRequest, owner: Int) async throws -> HTTPResponse {
    guard let archive else {
      throw RequestError(
        status: 404, code: "no_session_store", message: "this server keeps no sessions; start it with --session-store")
    }
    // What was answered by now is on its way to the store.
    await scheduler.settle()
    await archive.store.written()
    let parts = request.path.dropFirst(Self.sessionsPath.count).split(separator: "/").map { String($0).unescaped }
    do {
      switch (request.method, parts.count) {
      case (.GET, 0):
        return .json([
          "object": "list", "data": .array(try archive.store.sessions(of: archive.tenant(owner)).map(\.json)),
        ])
      case (.GET, 1): return .json(try session(parts[0], archive, owner).json)
      case (.DELETE, 1): return try await delete(parts[0], archive, owner)
      case (.POST, 2): return try change(parts[0], by: parts[1], request, archive, owner)
      default:
        throw RequestError(
          status: 405, code: "method_not_allowed",
          message: "sessions take GET, DELETE, and POST to /v1/sessions/NAME/fork, /pin or /unpin",
          allow: "GET, DELETE, POST")
      }
    } catch let error as TierError {
      throw RequestError.failed(error.description)
    }
  }

  private func session(_ name: String, _ archive: SessionArchive, _ owner: Int) throws -> StoredSession {
    guard let session = try archive.store.session(named: name, of: archive.tenant(owner)) else {
      throw RequestError(
        status: 404, code: "session_not_found", parameter: "session", message: "there is no session '\(name)'")
    }
    return session
  }

  private func delete(_ name: String, _ archive: SessionArchive, _ owner: Int) async throws -> HTTPResponse {
    _ = try session(name, archive, owner)
    try conversations.forget(name, owner: owner)
    await scheduler.forget(archive.key(name, owner: owner))
    try archive.store.remove(name, of: archive.tenant(owner))
    return .json(["id": .string(name), "object": "session.deleted", "deleted": true])
  }

  private func change(
    _ name: String, by verb: String, _ request: HTTPRequest, _ archive: SessionArchive, _ owner: Int
  ) throws -> HTTPResponse {
    let tenant = archive.tenant(owner)
    _ = try session(name, archive, owner)
    switch verb {
    case "pin", "unpin":
      try archive.store.setPinned(verb == "pin", name, of: tenant)
      return .json(try session(name, archive, owner).json)
    case "fork":
      var fields = try RequestFields(request.json())
      guard let other = try fields.string("id"), (1...128).contains(other.utf8.count) else {
        throw RequestError.bad("id", "'id' must name the new session in 1 to 128 bytes")
      }
      try fields.finish()
      guard try archive.store.session(named: other, of: tenant) == nil, !conversations.holds(other, owner: owner) else {
        throw RequestError(
          status: 409, code: "session_exists", parameter: "id", message: "there is a session '\(other)' already")
      }
      try archive.store.fork(name, as: other, of: tenant)
      return .json(try session(other, archive, owner).json)
    default:
      throw RequestError(status: 404, code: "not_found", message: "a session can be forked, pinned and unpinned")
    }
  }
}

extension StoredSession {
  fileprivate var json: JSONValue {
    [
      "id": .string(name), "object": "session", "model": .string(model), "cache": .string(plan),
      "cache_type": .string(slotType), "tokens": JSONValue(tokens), "bytes": JSONValue(bytes),
      "created": .integer(created), "saved": .integer(saved), "used": .integer(used), "pinned": .bool(isPinned),
    ]
  }
}
