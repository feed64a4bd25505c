import KVCaches
import SessionStore

/// Sessions that are kept in a store.
extension SessionState {
  /// Goes on where a stored session stands, and is saved there from now on.
  ///
  /// Where its memory cannot be used, what is known of it is read again with the next request: the messages of a
  /// conversation, the newest tokens of a text.
  package func resume(from checkpointer: SessionCheckpointer, _ engine: InferenceEngine) throws -> Resumption {
    let sequence = try makeSequence(engine)
    let found = checkpointer.load(into: sequence, vocabulary: engine.vocabularySize)
    self.checkpointer = checkpointer
    let record = found.record ?? .empty
    if found.resumption.tier != nil {
      try replace(sequence, record)
    } else {
      try replace(sequence, record.unread)
      sequence.append(record.tokensToReadAgain)
    }
    return found.resumption
  }

  /// Saves the session where it is kept; returns once what changed is copied.
  ///
  /// - Throws: as `SessionCheckpointer.save`.
  package func save() throws {
    guard let checkpointer, let existing else { return }
    try checkpointer.save(existing) { record(of: $0, atLeast: SequenceRecord.worthKeeping(of: $0)) }
  }

  /// Tokens between two saves while a response is written.
  static let tokensBetweenSaves: Int64 = 512

  /// Saves the session where so many tokens have come since it was saved, and the store keeps up.
  ///
  /// What goes wrong here shows when somebody waits for a save (`LanguageModelSession.save`); a response does not end for it.
  func saveByItself(afterTokens count: Int64) {
    guard let checkpointer, let existing, !checkpointer.store.isBehind,
      existing.memory.tokenCount - checkpointer.savedTokens >= count
    else { return }
    // Between two tokens of a response nothing waits for another save.
    if count > 0, checkpointer.isBusy { return }
    try? save()
  }
}

extension SessionCheckpointer {
  /// Goes on where a stored text stands; what cannot be taken up of it waits to be read again.
  ///
  /// However long it takes: of a stream without end only the newest tokens could be read again.
  ///
  /// - Throws: `LanguageModelError` where the session is a conversation.
  package func resume(_ sequence: Sequence, vocabulary: Int) throws(LanguageModelError) -> Resumption {
    let found = load(into: sequence, vocabulary: vocabulary, hasDeadline: false)
    guard let record = found.record else { return found.resumption }
    guard record.conversation == nil else {
      throw .badOptions("the session '\(key.name)' is a conversation, which 'run' cannot continue")
    }
    if found.resumption.tier == nil { sequence.append(record.tokensToReadAgain) }
    return found.resumption
  }

  /// Saves a text; returns once what changed is copied.
  ///
  /// - Throws: as `save(_:beside:_:)`.
  package func save(_ sequence: Sequence, beside records: [Record] = []) throws {
    try save(sequence, beside: records) {
      SessionRecord(
        conversation: nil, answer: nil, answerStart: 0, of: $0, atLeast: SequenceRecord.worthKeeping(of: $0))
    }
  }
}

extension SequenceRecord {
  /// How many of a sequence's newest ids are kept, to be read again if its memory is lost: all of them, or under a bounded
  /// cache twice as many as it holds apart.
  static func worthKeeping(of sequence: Sequence) -> Int {
    sequence.memory.plan.capacity.map { min(2 * $0, sequence.log.count) } ?? sequence.log.count
  }
}

extension SessionRecord {
  static let empty = SessionRecord(conversation: nil, answer: nil, answerStart: 0, sequence: .empty)

  init(
    conversation: Conversation.Record?, answer: ChatMessage?, answerStart: Int, sequence: SequenceRecord
  ) {
    (self.conversation, self.answer, self.answerStart) = (conversation, answer, answerStart)
    self.sequence = sequence
  }

  /// The same session with nothing of it read.
  var unread: SessionRecord {
    var record = SessionRecord.empty
    record.conversation = conversation
    record.conversation?.read = ReadText()
    record.answer = conversation == nil ? nil : answer
    return record
  }

  /// What a session without messages has to read again.
  var tokensToReadAgain: [Int32] { conversation == nil ? sequence.newest : [] }
}
