import KVCaches

/// Sessions that are kept in files.
extension SessionState {
  /// The session as the bytes of a file.
  ///
  /// - Parameter model: by which name the model is told from others
  /// - Throws: `LanguageModelError` where nothing was said yet.
  package func saved(by engine: InferenceEngine, model: String) throws -> [UInt8] {
    guard conversation != nil, let existing else {
      throw LanguageModelError.badOptions("there is nothing to save yet")
    }
    return SavedConversation(
      model: model, cache: "\(existing.memory.plan) \(existing.memory.slotType.rawValue)",
      session: record(of: existing),
      memory: existing.memory
    ).bytes
  }

  /// What of the session is kept beside the memory of its sequence.
  func record(of sequence: Sequence, atLeast: Int = 0) -> SessionRecord {
    SessionRecord(
      conversation: conversation?.record, answer: dialogue.answer, answerStart: dialogue.answerStart, of: sequence,
      atLeast: atLeast)
  }

  /// Has the session be what a file says; where that fails it is as before.
  ///
  /// - Throws: `LanguageModelError` where the file is damaged or belongs to another model or cache, `KVCacheError` where the
  ///   memory in it does not fit.
  package func load(_ bytes: [UInt8], name: String, model: String, into engine: InferenceEngine) throws {
    let saved = try SavedConversation(bytes, name: name)
    let sequence = try makeSequence(engine)
    let cache = "\(sequence.memory.plan) \(sequence.memory.slotType.rawValue)"
    guard saved.model == model else {
      throw LanguageModelError.malformed(name, "a chat with the model '\(saved.model)', this is '\(model)'")
    }
    guard saved.cache == cache else {
      throw LanguageModelError.malformed(name, "a chat under the cache '\(saved.cache)', this one is '\(cache)'")
    }
    try sequence.memory.restore(saved.snapshot)
    guard saved.session.sequence.fits(tokens: sequence.memory.tokenCount, vocabulary: engine.vocabularySize) else {
      throw LanguageModelError.malformed(name, "the saved chat has other tokens than its memory or the model")
    }
    try replace(sequence, saved.session)
  }
}
