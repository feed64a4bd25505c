import Engine
import ModelJSON
import SessionStore

/// Where the conversations of named sessions outlive the server: their messages, and the memory that has read them.
struct SessionArchive: Sendable {
  let store: SessionStore
  let model: ModelFingerprint
  /// By which the owners of API keys are told apart, whatever their order.
  private let tenants: [String]

  static let messages = "messages"
  static let tokens = "tokens"
  static let symbols = "symbols"

  init(_ store: SessionStore, model: ModelFingerprint, access: Access) {
    (self.store, self.model) = (store, model)
    tenants = access.tenants.map { "server:" + $0 }
  }

  func tenant(_ owner: Int) -> String { tenants[owner] }

  func key(_ name: String, owner: Int) -> ItemKey { ItemKey(tenant: tenants[owner], name: name) }

  /// The key of what an owner has in the store without having named it.
  func unnamed(_ name: String, owner: Int) -> ItemKey { .unnamed(name, of: tenants[owner]) }

  /// Takes the lease of a session, for which it waits a while.
  ///
  /// - Throws: `RequestError` of status 409 where another server goes on using it, and `CancellationError`.
  func lease(_ key: ItemKey) async throws -> HeldLease {
    do {
      return try await store.leases.take(key)
    } catch let refusal as LeaseRefusal {
      throw RequestError(
        status: 409, code: "session_leased", parameter: "session",
        message: "another server is answering this session", retryAfter: Int(refusal.milliseconds / 1000) + 1)
    }
  }

  /// Gives a lease back once what was saved under it is written.
  func end(_ lease: HeldLease) { store.leases.end(lease, after: store) }

  /// Does something with a session that no server answers meanwhile.
  func withLease<Result>(_ key: ItemKey, _ body: () async throws -> Result) async throws -> Result {
    let lease = try await lease(key)
    defer { end(lease) }
    return try await body()
  }

  /// The messages of a stored session; nil where there are none.
  func messages(of key: ItemKey) -> [JSONValue]? {
    guard case .success(let item) = store.find(key), case .some(let bytes) = try? item.record(Self.messages) else {
      return nil
    }
    return (try? JSONValue(parsing: bytes))?.array
  }

  static func record(_ messages: [JSONValue]) -> SessionCheckpointer.Record {
    var text: [UInt8] = []
    JSONValue.array(messages).write(to: &text)
    return SessionCheckpointer.Record(Self.messages, text)
  }
}
