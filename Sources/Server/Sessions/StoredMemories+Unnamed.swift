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
    if findWhole(request, like: memory, after: match.symbols) != nil { return true }
    guard let start = findStart(request, like: memory) else { return false }
    return start.tokens > memory.read.tokens.count - match.takesBack
  }

  /// The stored memory of no name that has read most of a prompt, or one of any name that has read more of its start.
  func find(_ request: GenerationRequest, like memory: HeldSequence) -> ItemKey? {
    let whole = findWhole(request, like: memory, after: 0)
    guard let start = findStart(request, like: memory) else { return whole?.key }
    guard let whole, case .text(let prompt) = request.prompt else { return start.key }
    let tokens = request.promptTokens.count - prompt.tokens(after: whole.symbols).count
    return tokens >= start.tokens ? whole.key : start.key
  }

  /// The stored memory of no name that has read more than some symbols of a prompt, and how many at least.
  private func findWhole(
    _ request: GenerationRequest, like memory: HeldSequence, after symbols: Int
  ) -> (key: ItemKey, symbols: Int)? {
    guard request.storedSession == nil, request.keepsMemory, archive.store.keepsUnnamed,
      case .text(let prompt) = request.prompt, request.promptTokens.count >= Self.fewestTokens
    else { return nil }
    let tenant = archive.unnamed("", owner: request.owner).tenant
    let marks = ConversationMarks(prompt.symbols, fingerprint(of: memory))
    return archive.store.name(marked: marks.ofPrompt(after: symbols), of: tenant).map {
      (ItemKey(tenant: tenant, name: $0.name), marks.symbols(before: $0.mark))
    }
  }

  /// The stored memory of any name that has read most of a prompt's blocks, and how many tokens at least; nil where memories cannot
  /// be cut.
  func findStart(_ request: GenerationRequest, like memory: HeldSequence) -> (key: ItemKey, tokens: Int)? {
    guard request.keepsMemory, memory.sequence.memory.canBeCut, case .text = request.prompt else { return nil }
    let marks = BlockMarks(request.promptTokens, fingerprint(of: memory))
    let tenants = [archive.unnamed("", owner: request.owner).tenant, archive.tenant(request.owner)]
    let found = tenants.compactMap { tenant in
      archive.store.name(marked: marks.ofPrompt, of: tenant).map {
        (key: ItemKey(tenant: tenant, name: $0.name), tokens: marks.tokens(before: $0.mark))
      }
    }
    return found.max { $0.tokens < $1.tokens }
  }

  /// By what a memory of a session is found from other conversations; nil where it cannot be cut.
  func blockMarks(of memory: HeldSequence) -> [Int64]? {
    guard memory.sequence.memory.canBeCut else { return nil }
    return BlockMarks(memory.read.tokens, fingerprint(of: memory)).ofItem
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
    place.marks =
      ConversationMarks(memory.read.symbols, fingerprint(of: memory)).ofItem + (blockMarks(of: memory) ?? [])
    memory.checkpointer = place
    try? save(memory.sequence, memory.read, beside: [], in: place)
    return memory
  }

  private func fingerprint(of memory: HeldSequence) -> Fingerprint {
    archive.model.fingerprint(cache: memory.sequence.memory.identity)
  }
}
