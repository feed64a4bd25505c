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

  /// The memory of a request's session on its way from the store.
  struct Loading {
    var memory: HeldSequence
    let load: SessionLoad
  }

  /// What came of looking for the memory of a request's session.
  struct Found {
    var memory: HeldSequence
    /// How the prompt goes on from there; nothing of it is read where the memory is empty.
    var match = HeldSequence.Match()
    var use: CacheUse
    /// Brings layers that are still to come; nil where all are there or none.
    var load: SessionLoad?
  }

  /// Begins to bring the memory of a request's session, or of a conversation without a name that the prompt goes on with; nil
  /// where there is none.
  ///
  /// - Parameters:
  ///   - memory: an empty one for the request
  ///   - terms: what computing takes
  func begin(
    _ request: GenerationRequest, into memory: HeldSequence, vocabulary: Int, terms: LoadTerms
  ) -> Loading? {
    guard case .text = request.prompt, let key = request.storedSession ?? find(request, like: memory, after: 0) else {
      return nil
    }
    var memory = memory
    let checkpointer = checkpointer(key)
    memory.checkpointer = checkpointer
    let load = checkpointer.beginLoad(
      into: memory.sequence, vocabulary: vocabulary, records: [SessionArchive.tokens, SessionArchive.symbols],
      terms: terms)
    return Loading(memory: memory, load: load)
  }

  /// The memory that has come, or the empty one.
  func finish(_ loading: Loading, for request: GenerationRequest) -> Found {
    var memory = loading.memory
    let found = loading.load.finish()
    // What is stored without a name stays what it is where it is of no use.
    let isUnnamed = request.storedSession == nil
    guard let tier = found.resumption.tier, let read = Self.read(loading.load) else {
      loading.load.abandon(.corrupt)
      memory.sequence.restart()
      if isUnnamed { memory.checkpointer = nil }
      return Found(memory: memory, use: .miss(found.resumption.miss ?? .corrupt))
    }
    guard case .text(let prompt) = request.prompt else { preconditionFailure("a session without messages") }
    memory.read = read
    if let match = memory.match(prompt.symbols, ofCopy: isUnnamed) {
      let isWhole = loading.load.outcome == .whole
      return Found(memory: memory, match: match, use: .hit(0, from: tier), load: isWhole ? nil : loading.load)
    }
    let common = zip(read.symbols, prompt.symbols).prefix { $0 == $1 }.count
    let miss = Miss.diverged(token: request.promptTokens.count - prompt.tokens(after: common).count)
    loading.load.abandon(miss)
    memory.sequence.restart()
    if isUnnamed { memory.checkpointer = nil }
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

  private static func read(_ load: SessionLoad) -> ReadText? {
    guard let tokens = load.record(SessionArchive.tokens), let symbols = load.record(SessionArchive.symbols) else {
      return nil
    }
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
