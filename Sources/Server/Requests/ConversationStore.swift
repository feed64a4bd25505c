import CLibrary
import ModelJSON
import SessionStore
import Synchronization

/// Conversations that the server holds under a name (`session`), each for the key that began it.
///
/// Only messages are kept here; the memory of a conversation is found like that of any other, by what it has read. Beyond
/// a number of conversations and of bytes those used longest ago are forgotten.
final class ConversationStore: Sendable {
  fileprivate struct Key: Hashable {
    let owner: Int
    let name: String
  }

  private struct Stored {
    var messages: [JSONValue]
    var bytes: Int
    var lastUse: UInt64
  }

  private struct State {
    var stored: [Key: Stored] = [:]
    var busy: Set<Key> = []
    var clock: UInt64 = 0
    var bytes = 0
  }

  private let state = Mutex(State())
  private let countLimit: Int
  private let byteLimit: Int
  private let archive: SessionArchive?
  /// Puts a conversation into the archive, with the memory that has read it, and gives its lease back.
  private let save: @Sendable (ItemKey, [JSONValue], HeldLease?) -> Void

  init(
    countLimit: Int = 4096, byteLimit: Int = 64 << 20, archive: SessionArchive? = nil,
    save: @escaping @Sendable (ItemKey, [JSONValue], HeldLease?) -> Void = { _, _, _ in }
  ) {
    (self.countLimit, self.byteLimit) = (countLimit, byteLimit)
    (self.archive, self.save) = (archive, save)
  }

  /// Whether a conversation of this name is held or answered.
  func holds(_ name: String, owner: Int) -> Bool {
    let key = Key(owner: owner, name: name)
    return state.withLock { $0.stored[key] != nil || $0.busy.contains(key) }
  }

  /// Forgets a conversation.
  ///
  /// - Returns: whether there was one.
  /// - Throws: `RequestError` of status 409 while a turn of it is answered.
  @discardableResult
  func forget(_ name: String, owner: Int) throws(RequestError) -> Bool {
    let key = Key(owner: owner, name: name)
    let found = state.withLock { state -> Bool? in
      guard !state.busy.contains(key) else { return nil }
      guard let stored = state.stored.removeValue(forKey: key) else { return false }
      state.bytes -= stored.bytes
      return true
    }
    guard let found else { throw Self.busy }
    return found
  }

  private static let busy = RequestError(
    status: 409, code: "session_busy", parameter: "session", message: "this session is still being answered")

  /// Begins a turn of a conversation, which is a new one where the name is not known; waits where another server answers one.
  ///
  /// - Throws: `RequestError` of status 409 while another turn of it is answered, and `CancellationError`.
  func begin(_ name: String, owner: Int, adding messages: [JSONValue]) async throws -> ConversationTurn {
    let key = Key(owner: owner, name: name)
    let (isFree, held) = state.withLock { state in (state.busy.insert(key).inserted, state.stored[key]) }
    guard isFree else { throw Self.busy }
    let session = archive?.key(name, owner: owner)
    let lease: HeldLease?
    do {
      lease = if let archive, let session { try await archive.lease(session) } else { nil }
    } catch {
      state.withLock { _ = $0.busy.remove(key) }
      throw error
    }
    let before = newest(held, or: session)
    let isShared = archive?.store.isShared ?? false
    return ConversationTurn(
      messages: before.messages + messages, lease: lease, waitsForSave: isShared
    ) { [self] whole in
      // Of a conversation without end only what is new is counted.
      let bytes = whole.map { before.bytes + Self.bytes($0[before.messages.count...]) } ?? 0
      end(key, whole.map { ($0, bytes) }, lease)
    }
  }

  /// How many messages of a conversation are held.
  func messageCount(_ name: String, owner: Int) -> Int {
    state.withLock { $0.stored[Key(owner: owner, name: name)]?.messages.count ?? 0 }
  }

  /// The messages that are held, or those that are stored where none are held or another server has gone on.
  private func newest(_ held: Stored?, or session: ItemKey?) -> (messages: [JSONValue], bytes: Int) {
    let known = (held?.messages ?? [], held?.bytes ?? 0)
    guard let archive, let session, held == nil || archive.store.isForeign(session) else { return known }
    return archive.messages(of: session).map { ($0, Self.bytes($0[...])) } ?? known
  }

  private static func bytes(_ messages: ArraySlice<JSONValue>) -> Int {
    messages.reduce(0) { $0 + $1.text.utf8.count + 1 }
  }

  /// - Parameter whole: the conversation as it is now, and its bytes; nil leaves it as it was
  private func end(_ key: Key, _ whole: (messages: [JSONValue], bytes: Int)?, _ lease: HeldLease?) {
    // Before another turn can begin.
    if let archive, let messages = whole?.messages {
      save(archive.key(key.name, owner: key.owner), messages, lease)
    } else if let archive, let lease {
      archive.end(lease)
    }
    state.withLock { state in
      state.busy.remove(key)
      guard let (messages, bytes) = whole else { return }
      state.clock += 1
      state.bytes += bytes - (state.stored[key]?.bytes ?? 0)
      state.stored[key] = Stored(messages: messages, bytes: bytes, lastUse: state.clock)
      while state.stored.count > countLimit || state.bytes > byteLimit, state.stored.count > 1,
        let oldest = state.stored.min(by: { $0.value.lastUse < $1.value.lastUse })
      {
        state.bytes -= oldest.value.bytes
        state.stored[oldest.key] = nil
      }
    }
  }

  /// Seconds since 1970.
  static func now() -> Int { Int(time(nil)) }
}

/// One turn of a held conversation; it must be finished or abandoned.
struct ConversationTurn: Sendable {
  /// The conversation with the new messages.
  let messages: [JSONValue]
  /// The right to write it; nil where nothing outlives the server.
  let lease: HeldLease?
  /// Whether the next turn may come to another server, which has to find this one.
  private let waitsForSave: Bool
  private let end: @Sendable ([JSONValue]?) -> Void

  fileprivate init(
    messages: [JSONValue], lease: HeldLease?, waitsForSave: Bool, end: @escaping @Sendable ([JSONValue]?) -> Void
  ) {
    (self.messages, self.lease, self.waitsForSave, self.end) = (messages, lease, waitsForSave, end)
  }

  /// Keeps the answer with what was asked; where servers share a store, once it is there, or after a moment.
  ///
  /// - Throws: `RequestError` of status 409 where another server has gone on meanwhile; the turn must be abandoned then.
  func finish(_ answer: Answer) async throws(RequestError) {
    if lease?.isLost ?? false {
      throw RequestError(
        status: 409, code: "session_taken_over", parameter: "session",
        message: "this server stood still for too long, and another one has gone on with the session")
    }
    var message = answer.message
    // Thoughts are not kept, and what a call says of itself must be text.
    message["reasoning_content"] = .null
    if message["content"]?.isNull ?? true { message["content"] = "" }
    end(messages + [.object(message)])
    if waitsForSave { await lease?.waitForEnd(atMost: Self.longestWait) }
  }

  private static let longestWait = Duration.seconds(2)

  /// Leaves the conversation as it was before.
  func abandon() { end(nil) }
}
