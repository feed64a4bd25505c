import ModelJSON
import SessionStore

/// `/v1/sessions`: what the owner of a key does with the sessions that outlive the server.
extension Routes {
  func sessionList(owner: Int) async throws -> HTTPResponse {
    let archive = try await writtenArchive()
    return try Self.explaining {
      .json(["object": "list", "data": .array(try archive.store.sessions(of: archive.tenant(owner)).map(\.json))])
    }
  }

  func keptSession(_ name: String, owner: Int) async throws -> HTTPResponse {
    let archive = try await writtenArchive()
    return try Self.explaining { .json(try session(name, archive, owner).json) }
  }

  func pinSession(_ name: String, _ isPinned: Bool, owner: Int) async throws -> HTTPResponse {
    let archive = try await writtenArchive()
    return try Self.explaining {
      _ = try session(name, archive, owner)
      try archive.store.setPinned(isPinned, name, of: archive.tenant(owner))
      return .json(try session(name, archive, owner).json)
    }
  }

  func forkSession(_ name: String, _ body: JSONValue, owner: Int) async throws -> HTTPResponse {
    let archive = try await writtenArchive()
    var fields = try RequestFields(body)
    guard let other = try fields.string("id"), (1...128).contains(other.unicodeScalars.count) else {
      throw RequestError.bad("id", "'id' must name the new session in 1 to 128 characters")
    }
    try fields.finish()
    let exists = RequestError(
      status: 409, code: "session_exists", parameter: "id", message: "there is a session '\(other)' already")
    guard !conversations.holds(other, owner: owner) else { throw exists }
    return try await archive.withLease(archive.key(other, owner: owner)) {
      try Self.explaining {
        let tenant = archive.tenant(owner)
        _ = try session(name, archive, owner)
        guard try archive.store.session(named: other, of: tenant) == nil else { throw exists }
        try archive.store.fork(name, as: other, of: tenant)
        return .json(try session(other, archive, owner).json)
      }
    }
  }

  /// `DELETE`: forgets what was said, here and in the store.
  func forgetSession(_ name: String, owner: Int) async throws -> HTTPResponse {
    let hadMessages = try conversations.forget(name, owner: owner)
    let hadMemory = await scheduler.forget(name, owner: owner)
    var wasKept = false
    if let archive {
      let key = archive.key(name, owner: owner)
      wasKept = try await archive.withLease(key) {
        await scheduler.forget(key)
        await archive.store.written()
        return try Self.explaining { try archive.store.remove(name, of: archive.tenant(owner)) }
      }
    }
    return .json([
      "object": "session.deleted", "session": .string(name),
      "deleted": JSONValue(hadMessages || hadMemory || wasKept),
    ])
  }

  /// The store, once all that was answered by now is in it.
  ///
  /// - Throws: `RequestError` of status 404 where the server keeps no sessions.
  private func writtenArchive() async throws -> SessionArchive {
    guard let archive else {
      throw RequestError(
        status: 404, code: "no_session_store", message: "this server keeps no sessions; start it with --session-store")
    }
    await scheduler.settle()
    await archive.store.written()
    return archive
  }

  private func session(_ name: String, _ archive: SessionArchive, _ owner: Int) throws -> StoredSession {
    guard let session = try archive.store.session(named: name, of: archive.tenant(owner)) else {
      throw RequestError(
        status: 404, code: "session_not_found", parameter: "session", message: "there is no session '\(name)'")
    }
    return session
  }

  private static func explaining<Result>(_ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch let error as TierError {
      throw RequestError.failed(error.description)
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
