import KVCaches

/// Sessions that are kept in files.
extension SessionState {
  /// The session as the bytes of a file.
  ///
  /// - Parameter model: by which name the model is told from others
  /// - Throws: `LanguageModelError` where nothing was said yet.
  package func saved(by engine: InferenceEngine, model: String) throws -> [UInt8] {
    guard let conversation, let existing else {
      throw LanguageModelError.badOptions("there is nothing to save yet")
    }
    return SavedConversation(
      model: model, cache: "\(existing.memory.plan) \(existing.memory.slotType.rawValue)",
      conversation: conversation.record, answer: dialogue.answer, answerStart: dialogue.answerStart, sequence: existing
    ).bytes
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
    let ids = saved.newest + saved.waiting
    guard ids.allSatisfy({ (0..<Int32(engine.vocabularySize)).contains($0) }) else {
      throw LanguageModelError.malformed(name, "the saved chat has tokens that the model does not know")
    }
    try sequence.memory.restore(saved.snapshot)
    guard Int(sequence.memory.tokenCount) + saved.waiting.count == saved.count else {
      throw LanguageModelError.malformed(name, "the saved chat has another number of tokens than its memory")
    }
    sequence.resume(count: saved.count, newest: saved.newest, waiting: saved.waiting, isInPrompt: saved.waitingIsPrompt)
    let conversation = try Conversation(newTemplate(), saved.conversation)
    replace(sequence, conversation, answer: saved.answer, answerStart: saved.answerStart)
  }
}
