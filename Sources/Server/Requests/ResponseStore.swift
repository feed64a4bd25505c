import ModelJSON
import SessionStore
import Synchronization

/// Responses that later requests may go on from or ask for again (`store`), each for the key that asked for it.
///
/// Beyond a number of responses and of bytes a key's oldest ones are forgotten, then those of all keys; what is stored in an archive
/// is found again there, also by other servers.
final class ResponseStore: Sendable {
  private struct Key: Hashable {
    let owner: Int
    let identifier: String
  }

  private struct Stored {
    let object: JSONValue
    /// The conversation up to and with the response.
    let messages: [JSONValue]
    let bytes: Int
    let number: UInt64
  }

  private struct State {
    var stored: [Key: Stored] = [:]
    var number: UInt64 = 0
  }

  private let state = Mutex(State())
  private let ownerCount: Int
  private let ownerBytes: Int
  private let byteLimit: Int
  private let archive: SessionArchive?

  /// - Parameters:
  ///   - ownerCount: the most responses of a key
  ///   - ownerBytes: the most bytes of a key's responses
  ///   - byteLimit: the most bytes of all
  ///   - archive: where responses outlive the server; nil where they do not
  init(
    ownerCount: Int = 1024, ownerBytes: Int = 32 << 20, byteLimit: Int = 128 << 20, archive: SessionArchive? = nil
  ) {
    (self.ownerCount, self.ownerBytes, self.byteLimit, self.archive) = (ownerCount, ownerBytes, byteLimit, archive)
  }

  func object(_ identifier: String, owner: Int) -> JSONValue? { response(identifier, owner)?.object }

  func messages(_ identifier: String, owner: Int) -> [JSONValue]? { response(identifier, owner)?.messages }

  private func response(_ identifier: String, _ owner: Int) -> (object: JSONValue, messages: [JSONValue])? {
    let held = state.withLock { $0.stored[Key(owner: owner, identifier: identifier)] }
    // Where servers share an archive, another one may have removed it.
    if let held, archive?.store.isShared != true { return (held.object, held.messages) }
    switch archive?.response(identifier, owner: owner) {
    case .success(let found): return found
    case .failure(.removed): return nil
    case .failure, nil: return held.map { ($0.object, $0.messages) }
    }
  }

  /// - Returns: whether there was one.
  func remove(_ identifier: String, owner: Int) -> Bool {
    let wasHeld = state.withLock { $0.stored.removeValue(forKey: Key(owner: owner, identifier: identifier)) != nil }
    return archive?.removeResponse(identifier, owner: owner) ?? false || wasHeld
  }

  /// Keeps a response; with an archive it returns once it is safe there.
  ///
  /// - Parameter messages: the conversation up to and with the response
  func keep(_ object: JSONValue, _ identifier: String, messages: [JSONValue], owner: Int) async {
    await archive?.keep(object, messages: messages, identifier, owner: owner)
    let bytes = object.text.utf8.count + JSONValue.array(messages).text.utf8.count
    state.withLock { state in
      state.number += 1
      state.stored[Key(owner: owner, identifier: identifier)] = Stored(
        object: object, messages: messages, bytes: bytes, number: state.number)
      Self.evict(&state, count: ownerCount, bytes: ownerBytes) { $0.owner == owner }
      Self.evict(&state, count: .max, bytes: byteLimit) { _ in true }
    }
  }

  /// Forgets the oldest responses of some keys while they are too many, but never the newest of all.
  private static func evict(_ state: inout State, count: Int, bytes: Int, _ counts: (Key) -> Bool) {
    var kept = state.stored.filter { counts($0.key) }.sorted { $0.value.number < $1.value.number }[...]
    var sum = kept.reduce(0) { $0 + $1.value.bytes }
    while kept.count > count || sum > bytes, kept.count > 1, let oldest = kept.popFirst() {
      sum -= oldest.value.bytes
      state.stored[oldest.key] = nil
    }
  }
}
