public import KVCaches
public import SessionStore

/// Sessions that outlive their program.
extension LanguageModelSession {
  /// A session that goes on where a stored one stands, or a new one under its name; it is saved by itself from now on.
  ///
  /// Saved is what changed: after each response, and now and then while one is written. Where what is stored cannot be used
  /// (`resumption` says why), the messages are read again with the next request.
  ///
  /// - Parameters:
  ///   - name: under which it is stored
  ///   - store: where
  /// - Throws: an error of one line where the cache does not fit the model.
  public convenience init(
    model: LanguageModel, resuming name: String, in store: SessionStore, cache: KVCache.Plan? = nil,
    slotType: KVCache.SlotType = .float16, instructions: String? = nil, undoDepth: Int = 0,
    speculation: Speculation = .automatic
  ) async throws {
    self.init(
      model: model, cache: cache, slotType: slotType, instructions: instructions, undoDepth: undoDepth,
      speculation: speculation)
    try await resume(name, in: store)
  }

  /// Waits until the session is safe where it is stored.
  ///
  /// - Throws: `LanguageModelError` where it is stored nowhere or could not be saved.
  public func save() async throws {
    let store = try await withState { state, _ in
      guard let checkpointer = state.checkpointer else {
        throw LanguageModelError.badOptions("this session has no name in a store; begin it with 'resuming'")
      }
      try state.save()
      return checkpointer.store
    }
    // Not on the model's thread, which has better things to do.
    await store.written()
    try await withState { state, _ in
      if let failure = state.checkpointer?.failure { throw failure }
    }
  }

  /// Keeps the session under a name in a store from now on, in place of what is there.
  public func save(as name: String, in store: SessionStore) async throws {
    try await withState { [model] state, _ in
      state.checkpointer = SessionCheckpointer(store, ItemKey(name: name), model: model.fingerprint)
    }
    try await save()
  }

  private func resume(_ name: String, in store: SessionStore) async throws {
    let resumption = try await withState { [model] state, engine in
      try state.resume(
        from: SessionCheckpointer(store, ItemKey(name: name), model: model.fingerprint), engine)
    }
    note(resumption)
  }
}
