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
