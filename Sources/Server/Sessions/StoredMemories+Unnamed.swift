import Engine
import KVCaches
import SessionStore

/// Memories of conversations without a name: found by what they have read.
///
/// Two servers may go on from one item; the second to save is refused (`TierError.outOfStep`) and begins an item of its own, so no
/// lease is needed.
extension StoredMemories {
  /// Below so many tokens reading again is as fast.
  static let fewestTokens = 16

  /// Whether there may be a stored memory that has read more of a prompt than one that waits in the server: where servers share
  /// the store, or the one that waits is another conversation's.
  func knowsMore(than memory: HeldSequence, _ match: HeldSequence.Match, of request: GenerationRequest) -> Bool {
    guard archive.store.isShared || match.takesBack > 0 else { return false }
    return find(request, like: memory, after: match.symbols) != nil
  }

  /// The stored memory of no name that has read most of a prompt, and more than some of its symbols.
  func find(_ request: GenerationRequest, like memory: HeldSequence, after symbols: Int) -> ItemKey? {
    guard request.storedSession == nil, request.keepsMemory, archive.store.keepsUnnamed,
      case .text(let prompt) = request.prompt, request.promptTokens.count >= Self.fewestTokens
    else { return nil }
    let tenant = archive.unnamed("", owner: request.owner).tenant
    let marks = ConversationMarks(prompt.symbols, fingerprint(of: memory)).ofPrompt(after: symbols)
    return archive.store.name(marked: marks, of: tenant).map { ItemKey(tenant: tenant, name: $0) }
  }

  /// Whether a memory that goes on with a prompt remains the conversation that it was: only the end of it is taken back.
  static func isSameConversation(_ match: HeldSequence.Match) -> Bool { match.takesBack <= RequestRoom.undoDepth }

  /// Saves what has read a conversation without a name; returns it with the place where it is stored.
  func saveUnnamed(_ memory: HeldSequence, of request: GenerationRequest) -> HeldSequence {
    guard request.storedSession == nil, request.session == nil, request.keepsMemory, archive.store.keepsUnnamed,
      case .text = request.prompt, memory.read.tokens.count >= Self.fewestTokens, !archive.store.isBehind
    else { return memory }
    var memory = memory
    let known = memory.checkpointer
    // What another server, or another branch of the conversation here, has saved under the same name stays.
    let isOurs = known.map { $0.key.isUnnamed && $0.failure == nil } ?? false
    let checkpointer = isOurs ? known : nil
    let place = checkpointer ?? self.checkpointer(archive.unnamed(Routes.identifier("c_"), owner: request.owner))
    place.marks = ConversationMarks(memory.read.symbols, fingerprint(of: memory)).ofItem
    memory.checkpointer = place
    try? save(memory.sequence, memory.read, beside: [], in: place)
    return memory
  }

  private func fingerprint(of memory: HeldSequence) -> Fingerprint {
    archive.model.fingerprint(cache: memory.sequence.memory.identity)
  }
}
