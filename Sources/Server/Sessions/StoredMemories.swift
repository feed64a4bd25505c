import Engine
import KVCaches
import SessionStore
import Tokenizers

/// Takes memories of sessions up from the store and puts them there; lives on the model's thread.
final class StoredMemories {
  let archive: SessionArchive

  init(_ archive: SessionArchive) { self.archive = archive }

  /// Whether so much waits to be written that requests should wait too.
  var isBehind: Bool { archive.store.isBehind }

  /// Whether a memory of a session is stored.
  func holds(_ session: ItemKey) -> Bool {
    guard case .success(let item) = archive.store.find(session) else { return false }
    return item.manifest.tokens > 0
  }

  /// What came of looking for the memory of a request's session.
  struct Found {
    var memory: HeldSequence
    /// How the prompt goes on from there; nothing of it is read where the memory is empty.
    var match = HeldSequence.Match()
    var use: CacheUse
  }

  /// The memory of a request's session, or an empty one; nil where the request has none.
  ///
  /// - Parameter make: an empty memory for the request
  func take(
    for request: GenerationRequest, vocabulary: Int, make: () throws -> HeldSequence
  ) rethrows -> Found? {
    guard let key = request.storedSession, case .text(let prompt) = request.prompt else { return nil }
    var memory = try make()
    let checkpointer = checkpointer(key)
    memory.checkpointer = checkpointer
    let found = checkpointer.load(into: memory.sequence, vocabulary: vocabulary)
    guard let tier = found.resumption.tier, let read = found.item.flatMap(Self.read) else {
      memory.sequence.restart()
      return Found(memory: memory, use: .miss(found.resumption.miss ?? .corrupt))
    }
    memory.read = read
    if let match = memory.match(prompt.symbols) {
      return Found(memory: memory, match: match, use: .hit(0, from: tier))
    }
    let common = zip(read.symbols, prompt.symbols).prefix { $0 == $1 }.count
    let miss = Miss.diverged(token: request.promptTokens.count - prompt.tokens(after: common).count)
    archive.store.noteMiss(miss)
    memory.sequence.restart()
    memory.read = ReadText()
    return Found(memory: memory, use: .miss(miss))
  }

  func checkpointer(_ key: ItemKey) -> SessionCheckpointer {
    SessionCheckpointer(archive.store, key, model: archive.model)
  }

  /// Saves a session's messages with the memory that has read them; without one where it has gone.
  ///
  /// - Parameter token: the number of the session's lease
  func save(_ messages: SessionCheckpointer.Record, _ memory: HeldSequence?, _ key: ItemKey, token: Int64? = nil) {
    let checkpointer = memory?.checkpointer ?? checkpointer(key)
    checkpointer.token = token
    // A save that fails is counted, and written whole with the next turn; the answer is there all the same.
    guard let memory, memory.checkpointer != nil else {
      try? checkpointer.save(withoutMemory: [messages])
      return
    }
    try? save(memory.sequence, memory.read, beside: [messages], in: checkpointer)
  }

  /// Saves a memory with what it has read.
  ///
  /// - Throws: as `SessionCheckpointer.save`.
  func save(
    _ sequence: Sequence, _ read: ReadText, beside records: [SessionCheckpointer.Record],
    in checkpointer: SessionCheckpointer
  ) throws {
    try checkpointer.save(
      sequence,
      beside: records + [
        SessionCheckpointer.Record(SessionArchive.tokens, Self.bytes(read.tokens)),
        SessionCheckpointer.Record(SessionArchive.symbols, Self.bytes(read.symbols)),
      ])
  }

  static func read(_ item: FoundItem) -> ReadText? {
    guard case .some(let tokens) = try? item.record(SessionArchive.tokens),
      case .some(let symbols) = try? item.record(SessionArchive.symbols)
    else { return nil }
    var read = ReadText()
    read.append(numbers(tokens), symbols: numbers(symbols))
    return read
  }

  private static func bytes(_ numbers: [Int32]) -> [UInt8] {
    numbers.flatMap { number in withUnsafeBytes(of: number.littleEndian) { Array($0) } }
  }

  private static func numbers(_ bytes: [UInt8]) -> [Int32] {
    bytes.withUnsafeBytes { bytes in
      (0..<bytes.count / 4).map {
        Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self))
      }
    }
  }
}
