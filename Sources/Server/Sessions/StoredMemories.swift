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
    /// Whether it is stored as another conversation's, of which the prompt has the start only.
    var isOther = false
    /// Why the session's own memory is of no use, where another one is looked for.
    var earlier: Miss?
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
    guard let key = request.storedSession ?? find(request, like: memory) else { return nil }
    return begin(key, request, into: memory, vocabulary: vocabulary, terms: terms)
  }

  /// Begins to bring what other conversations have read of a prompt, where the session's own memory is of no use; nil where there is
  /// nothing.
  func beginOther(
    _ request: GenerationRequest, instead miss: Miss?, into memory: HeldSequence, vocabulary: Int, terms: LoadTerms
  ) -> Loading? {
    switch miss {
    case .slower, .timedOut, .unavailable, nil: return nil
    default: break
    }
    guard request.storedSession != nil, let key = findStart(request, like: memory)?.key, key != request.storedSession,
      var loading = begin(key, request, into: memory, vocabulary: vocabulary, terms: terms)
    else { return nil }
    (loading.isOther, loading.earlier) = (true, miss)
    return loading
  }

  private func begin(
    _ key: ItemKey, _ request: GenerationRequest, into memory: HeldSequence, vocabulary: Int, terms: LoadTerms
  ) -> Loading? {
    guard case .text(let prompt) = request.prompt else { return nil }
    let (tokens, canBeCut) = (request.promptTokens, memory.sequence.memory.canBeCut)
    var memory = memory
    let checkpointer = checkpointer(key)
    memory.checkpointer = checkpointer
    let load = checkpointer.beginLoad(
      into: memory.sequence, vocabulary: vocabulary, records: [SessionArchive.tokens, SessionArchive.symbols],
      wanted: { count, record in
        guard canBeCut, let read = Self.read(record), read.tokens.count == count,
          let start = StoredStart(of: prompt, tokens, in: read)
        else { return nil }
        return start.tokens < Self.fewestTokens ? 0 : start.tokens
      }, terms: terms)
    return Loading(memory: memory, load: load)
  }

  /// The memory that has come, or the empty one.
  func finish(_ loading: Loading, for request: GenerationRequest) -> Found {
    var memory = loading.memory
    let found = loading.load.finish()
    // What is stored without a name stays what it is where it is of no use.
    let isUnnamed = request.storedSession == nil
    guard let tier = found.resumption.tier, let read = Self.read(loading.load.record) else {
      loading.load.abandon(.corrupt)
      memory.sequence.restart()
      if isUnnamed || loading.isOther { memory.checkpointer = nil }
      return Found(memory: memory, use: .miss(loading.earlier ?? found.resumption.miss ?? .corrupt))
    }
    guard case .text(let prompt) = request.prompt else { preconditionFailure("a session without messages") }
    memory.read = read
    if memory.sequence.memory.canBeCut, let start = StoredStart(of: prompt, request.promptTokens, in: read),
      start.tokens >= Self.fewestTokens, let waiting = memory.newest(after: start)
    {
      memory.read = start.text(of: read, prompt: prompt)
      // What another conversation goes on with stays as it is stored.
      let isOwn = !isUnnamed && !loading.isOther
      if !isOwn { memory.checkpointer = nil }
      var use = CacheUse.hit(0, from: tier)
      use.miss = found.resumption.miss ?? (isOwn ? .diverged(token: start.tokens) : nil)
      let match = HeldSequence.Match(
        takesBack: waiting, symbols: start.symbols, promptTokens: start.isOfPrompt ? start.tokens : nil)
      return Found(memory: memory, match: match, use: use, load: rest(of: loading))
    }
    if let match = memory.match(prompt.symbols, ofCopy: isUnnamed || loading.isOther) {
      if loading.isOther { memory.checkpointer = nil }
      var use = CacheUse.hit(0, from: tier)
      use.miss = found.resumption.miss
      return Found(memory: memory, match: match, use: use, load: rest(of: loading))
    }
    let common = read.symbols[...].commonPrefix(with: prompt.symbols[...])
    let miss = Miss.diverged(token: request.promptTokens.count - prompt.tokens(after: common).count)
    loading.load.abandon(miss)
    memory.sequence.restart()
    if isUnnamed || loading.isOther { memory.checkpointer = nil }
    memory.read = ReadText()
    return Found(memory: memory, use: .miss(loading.earlier ?? miss))
  }

  private func rest(of loading: Loading) -> SessionLoad? { loading.load.outcome == .whole ? nil : loading.load }

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
    checkpointer.marks = blockMarks(of: memory)
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

  private static func read(_ record: (String) -> [UInt8]?) -> ReadText? {
    guard let tokens = record(SessionArchive.tokens), let symbols = record(SessionArchive.symbols) else {
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
