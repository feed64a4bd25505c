import KVCaches
import Kernels
import ModelJSON
package import SessionStore
import Synchronization

/// Where one session is stored: takes it up, and saves it again and again, each time what changed.
///
/// Used on the model's thread. A save copies what changed there, and the store writes on its own.
package final class SessionCheckpointer {
  package let store: SessionStore
  package let key: ItemKey
  /// The number of the lease under which it is saved; nil where there is none.
  package var token: Int64?
  /// By what it is found beside its name, from the next save on.
  package var marks: [Int64]?
  private let model: ModelFingerprint
  /// What is known to be stored, or on its way there.
  private(set) var stored: Manifest?
  /// Whether it was found damaged.
  private var isDamaged = false
  private let outcome = Outcome()

  /// How the saves under way came out, written by the store's thread.
  private final class Outcome: Sendable {
    private let state = Mutex<(writing: Int, failure: TierError?)>((0, nil))
    var isWriting: Bool { state.withLock { $0.writing > 0 } }
    var failure: TierError? { state.withLock { $0.failure } }
    func begin() { state.withLock { $0.writing += 1 } }
    func forget() { state.withLock { $0.failure = nil } }
    func end(_ result: Result<Void, TierError>) {
      state.withLock { state in
        state.writing -= 1
        if case .failure(let error) = result { state.failure = state.failure ?? error }
      }
    }
  }

  package init(_ store: SessionStore, _ key: ItemKey, model: ModelFingerprint) {
    (self.store, self.key, self.model) = (store, key, model)
  }

  private static let recordName = "session"

  // Taking up.

  /// What was found: how a sequence goes on, and what is known where its memory cannot be used.
  package struct Found {
    package var resumption: Resumption
    /// Nil where nothing is known. Its tokens are those of this model's tokenizer, or none.
    var record: SessionRecord?
    /// Where further records stand.
    package var item: FoundItem?
  }

  /// Has an empty sequence be what is stored; where that fails it stays empty.
  ///
  /// - Parameter hasDeadline: false waits as long as it takes
  package func load(into sequence: Sequence, vocabulary: Int, hasDeadline: Bool = true) -> Found {
    if sequence.memory.distantHeads != nil {
      sequence.source = self
      return loadElsewhere(into: sequence, vocabulary: vocabulary)
    }
    var terms = LoadTerms()
    terms.hasDeadline = hasDeadline
    let load = beginLoad(into: sequence, vocabulary: vocabulary, terms: terms)
    load.wait()
    return load.finish()
  }

  /// Begins to bring what is stored into an empty sequence; returns at once.
  ///
  /// - Parameters:
  ///   - records: names of further records that are wanted
  ///   - wanted: how many of the stored sequence's tokens are wanted, by their count and these records; nil, or what gives nil, for
  ///     all. Memories that cannot be cut come whole.
  package func beginLoad(
    into sequence: Sequence, vocabulary: Int, records: [String] = [],
    wanted: (@Sendable (_ count: Int, _ record: (String) -> [UInt8]?) -> Int?)? = nil, terms: LoadTerms
  ) -> SessionLoad {
    SessionLoad(
      self, fingerprint(of: sequence.memory), into: sequence, vocabulary: vocabulary,
      records: records, wanted: wanted, terms: terms)
  }

  func fingerprint(of memory: KVCache) -> Fingerprint { model.fingerprint(cache: memory.identity) }

  /// What serves where the memory of an item cannot be used.
  func found(instead miss: Miss, _ record: SessionRecord?, _ item: FoundItem?, of sequence: Sequence) -> Found {
    guard case .otherModel = miss, let item else { return Found(resumption: .miss(miss), record: record, item: item) }
    // Saved without a memory, which had gone by then.
    if item.manifest.tokens == 0 { return Found(resumption: .miss(.evicted), item: item) }
    var record = record
    let tokenizer = fingerprint(of: sequence.memory).tokenizer
    if item.manifest.fingerprint.tokenizer != tokenizer { record?.sequence = .empty }
    return Found(resumption: .miss(miss), record: record, item: item)
  }

  /// Notes what is known to be stored.
  func note(stored manifest: Manifest?) { stored = manifest }

  /// Notes that what is stored is damaged: the next save writes everything, also what ought to be there.
  func noteDamage() { (stored, isDamaged) = (nil, true) }

  static func record(of item: FoundItem) -> SessionRecord? {
    guard case .some(let bytes) = try? item.record(recordName), let json = try? JSONValue(parsing: bytes) else {
      return nil
    }
    return SessionRecord(json)
  }

  // Saving.

  /// Tokens that were in the newest save.
  var savedTokens: Int64 { stored?.tokens ?? 0 }

  /// Whether a save now would have to wait for earlier ones.
  package var isBusy: Bool { outcome.isWriting || store.isBehind }

  /// Why the newest saves failed, if they did; the next one writes everything.
  package var failure: LanguageModelError? { outcome.failure.map { .notSaved($0.description) } }

  /// What is kept beside a memory, under a name.
  package struct Record {
    let name: String
    let bytes: [UInt8]

    package init(_ name: String, _ bytes: [UInt8]) { (self.name, self.bytes) = (name, bytes) }
  }

  /// Saves a sequence; returns once what changed is copied.
  ///
  /// - Throws: `KVCacheError` where the memory is not to be used, `LanguageModelError` where another process has saved the
  ///   session meanwhile: what it wrote stays.
  func save(_ sequence: Sequence, beside records: [Record] = [], _ record: (Sequence) -> SessionRecord) throws {
    try takeFailure()
    // Guesses are no part of the session.
    sequence.endTrial(lastWaits: true)
    let memory = sequence.memory
    var capture = capture(memory, tokens: memory.tokenCount)
    capture.write(Record(Self.recordName, record(sequence).bytes))
    for record in records { capture.write(record) }
    do {
      try capture.take(memory)
    } catch let error as KVCacheError where error.isElsewhere && memory.failure == nil {
      // All of it is read again then.
      guard let unread = record(sequence).withoutMemory else { throw error }
      capture = self.capture(memory, tokens: 0)
      for record in [Record(Self.recordName, unread.bytes)] + records { capture.write(record) }
    }
    if memory.distantHeads != nil { sequence.source = self }
    memory.noteSaved()
    write(capture.change())
  }

  private func capture(_ memory: KVCache, tokens: Int64) -> ItemCapture {
    let manifest = manifest(
      cache: memory.identity, plan: "\(memory.plan)", slotType: memory.slotType.rawValue, tokens: tokens)
    return ItemCapture(key, manifest, previous: stored, hash: store.pageHash)
  }

  /// Saves what is kept beside a memory that is not there any more; one that is stored stays as it is.
  ///
  /// - Throws: as `save(_:beside:_:)`.
  package func save(withoutMemory records: [Record]) throws {
    try takeFailure()
    let previous = stored ?? (try? store.find(key).get())?.manifest
    var manifest = previous ?? manifest(cache: "", plan: "", slotType: "", tokens: 0)
    (manifest.saved, manifest.sections) = (store.seconds, [])
    var capture = ItemCapture(key, manifest, previous: previous, hash: store.pageHash)
    for record in records { capture.write(record) }
    capture.keepOthers()
    write(capture.change())
  }

  private func manifest(cache: String, plan: String, slotType: String, tokens: Int64) -> Manifest {
    let now = store.seconds
    return Manifest(
      fingerprint: model.fingerprint(cache: cache), plan: plan, slotType: slotType, modelName: model.name,
      tokens: tokens, created: now, saved: now)
  }

  private func write(_ change: ItemChange) {
    var change = change
    (change.token, change.marks, change.rewrites) = (token, marks, isDamaged)
    isDamaged = false
    stored = change.manifest
    outcome.begin()
    store.save(change) { [outcome] in outcome.end($0) }
  }

  /// Writes everything after a save that failed.
  private func takeFailure() throws(LanguageModelError) {
    if let failure = outcome.failure {
      guard failure != .outOfStep else { throw .notSaved(failure.description) }
      stored = nil
      if !outcome.isWriting { outcome.forget() }
    }
  }

  /// Waits until all saves are safe.
  ///
  /// - Throws: `LanguageModelError` where the newest is not.
  package func finish() throws(LanguageModelError) {
    store.flush()
    if let failure { throw failure }
  }
}

extension ItemCapture {
  fileprivate mutating func write(_ record: SessionCheckpointer.Record) {
    record.bytes.withUnsafeBytes { write(.record(record.name), $0) }
  }
}

extension SequenceRecord {
  /// That of a sequence that has seen nothing.
  static let empty = SequenceRecord(count: 0, newest: [], waiting: [], waitingIsPrompt: false)

  init(count: Int, newest: [Int32], waiting: [Int32], waitingIsPrompt: Bool) {
    (self.count, self.newest, self.waiting, self.waitingIsPrompt) = (count, newest, waiting, waitingIsPrompt)
  }
}
