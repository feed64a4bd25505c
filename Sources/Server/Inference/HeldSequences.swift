import Engine
import KVCaches
import SessionStore

/// A memory between two requests, and what it has read.
struct HeldSequence {
  /// How much of a prompt a memory has read.
  struct Match {
    /// The newest tokens that have to be taken back.
    var takesBack = 0
    /// Symbols of the prompt that remain read.
    var symbols = 0
    /// How many of the prompt's tokens remain read, where they are the memory's; nil where only what they say is known.
    var promptTokens: Int?
  }

  let sequence: Sequence
  var read = ReadText()
  let owner: Int
  let plan: KVCache.Plan
  /// The conversation that used it last, where the server holds that.
  var session: String?
  /// When the request came that waits to go on from here; nil where none does.
  fileprivate(set) var claim: Int?
  /// Where the session is stored whose memory it is; nil where it is not.
  var checkpointer: SessionCheckpointer?

  /// Bytes that the memory takes while it rests, and those of the record of what it has read.
  var bytes: Int { sequence.takenBytes + sequence.memory.tokenRecordBytes + read.size + 4 * read.tokens.count }

  /// The newest tokens after the start that a prompt has too; nil where so many cannot be taken back.
  func newest(after start: StoredStart) -> Int? {
    let newest = sequence.count - start.tokens
    return newest >= 0 && newest <= sequence.undoableTokens ? newest : nil
  }

  /// How a prompt goes on from here; nil where it does not.
  ///
  /// A memory that would lose more than it keeps stays with the conversation that made it, unless that has one of its own.
  ///
  /// - Parameter ofCopy: whether the conversation that made it keeps what it has
  func match(_ prompt: [Int32], ofCopy: Bool = false) -> Match? {
    switch read.relation(to: prompt) {
    case .continues: return Match(takesBack: 0, symbols: read.count)
    case .takesBack(let tokens, let symbols):
      guard tokens <= sequence.undoableTokens,
        ofCopy || tokens <= max(RequestRoom.undoDepth, read.tokens.count / 2)
      else { return nil }
      return Match(takesBack: tokens, symbols: symbols)
    case .differs: return nil
    }
  }
}

/// Memories that wait for the next request of their conversation, the one used last at the end.
struct HeldSequences {
  private var sequences: [HeldSequence] = []

  var count: Int { sequences.count }
  var bytes: Int { sequences.reduce(0) { $0 + $1.bytes } }

  /// The memory that a conversation used last.
  func last(of session: String, owner: Int) -> HeldSequence? {
    sequences.last { $0.session == session && $0.owner == owner }
  }

  /// Lets go of all memories of a conversation.
  ///
  /// - Returns: whether there was one.
  mutating func removeAll(of session: String, owner: Int) -> Bool {
    let count = sequences.count
    sequences.removeAll { $0.session == session && $0.owner == owner }
    return sequences.count < count
  }

  mutating func hold(_ sequence: HeldSequence) { sequences.append(sequence) }

  /// Takes out the memory that has read most of a prompt of the same owner under the same plan.
  mutating func take(for request: GenerationRequest) -> (HeldSequence, HeldSequence.Match)? {
    guard let (index, match) = best(for: request) else { return nil }
    return (sequences.remove(at: index), match)
  }

  /// Keeps the memory that a request will go on from, which has come to the queue, for longer than those that nobody waits for.
  ///
  /// - Parameter claim: when it came, counted from the first
  mutating func claim(for request: GenerationRequest, _ claim: Int) {
    guard let (index, _) = best(for: request) else { return }
    sequences[index].claim = sequences[index].claim ?? claim
  }

  /// Takes note that a request has left the queue.
  mutating func release(_ claim: Int) {
    for index in sequences.indices where sequences[index].claim == claim { sequences[index].claim = nil }
  }

  private func best(for request: GenerationRequest) -> (index: Int, match: HeldSequence.Match)? {
    guard case .text(let prompt) = request.prompt else { return nil }
    var best: (index: Int, match: HeldSequence.Match)?
    for (index, held) in sequences.enumerated() where held.owner == request.owner && held.plan == request.plan {
      guard let match = held.match(prompt.symbols), match.symbols > (best?.match.symbols ?? 0) else { continue }
      best = (index, match)
    }
    return best
  }

  /// Calls `body` with the memory of a stored session; with nil where it is not held.
  func withMemory<Result>(of session: ItemKey, _ body: (HeldSequence?) -> Result) -> Result {
    body(sequences.last { $0.checkpointer?.key == session })
  }

  /// Has a stored session that was removed be none of ours.
  mutating func forget(_ session: ItemKey) {
    for index in sequences.indices where sequences[index].checkpointer?.key == session {
      sequences[index].checkpointer = nil
    }
  }

  /// Lets go of one memory of the owner who holds most bytes, so that one owner's many conversations do not throw out
  /// another's only one: the oldest that nobody waits for, else the one whose request came last, whose turn is farthest off.
  ///
  /// - Returns: whether there was one.
  mutating func evict() -> Bool {
    var bytes: [Int: Int] = [:]
    for held in sequences { bytes[held.owner, default: 0] += held.bytes }
    guard let owner = bytes.max(by: { ($0.value, $1.key) < ($1.value, $0.key) })?.key,
      let index = sequences.firstIndex(where: { $0.owner == owner && $0.claim == nil })
        ?? sequences.indices.filter({ sequences[$0].owner == owner })
        .max(by: { sequences[$0].claim ?? 0 < sequences[$1].claim ?? 0 })
    else { return false }
    sequences.remove(at: index)
    return true
  }
}
