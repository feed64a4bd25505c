import ModelJSON
import Synchronization

/// Responses that later requests may go on from or ask for again (`store`), each for the key that asked for it.
///
/// Beyond a number of responses and of bytes a key's oldest ones are forgotten, then those of all keys.
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

  /// - Parameters:
  ///   - ownerCount: the most responses of a key
  ///   - ownerBytes: the most bytes of a key's responses
  ///   - byteLimit: the most bytes of all
  init(ownerCount: Int = 1024, ownerBytes: Int = 32 << 20, byteLimit: Int = 128 << 20) {
    (self.ownerCount, self.ownerBytes, self.byteLimit) = (ownerCount, ownerBytes, byteLimit)
  }

  func object(_ identifier: String, owner: Int) -> JSONValue? {
    state.withLock { $0.stored[Key(owner: owner, identifier: identifier)]?.object }
  }

  func messages(_ identifier: String, owner: Int) -> [JSONValue]? {
    state.withLock { $0.stored[Key(owner: owner, identifier: identifier)]?.messages }
  }

  /// - Returns: whether there was one.
  func remove(_ identifier: String, owner: Int) -> Bool {
    state.withLock { $0.stored.removeValue(forKey: Key(owner: owner, identifier: identifier)) != nil }
  }

  /// - Parameter messages: the conversation up to and with the response
  func keep(_ object: JSONValue, _ identifier: String, messages: [JSONValue], owner: Int) {
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
