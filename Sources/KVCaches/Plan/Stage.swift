/// The bookkeeping of one stage of one sequence: which slot a token takes, and which slots a query may read.
///
/// A stage decides and never touches a float: one decision holds for every layer and every KV head, and replays carry it
/// out there. Where scores decide, the stage says between whom. Slots are numbered from 0 within the stage. Clocks
/// count positions inside the cache: a key is stored rotated by its own clock, and a query that reads the stage is rotated
/// once by the stage's query clock.
package protocol Stage: Sendable {
  /// The most tokens the stage can hold, or nil where it grows with the stream.
  var capacity: Int? { get }

  /// Tokens held now.
  var count: Int { get }

  /// Whether the stage keeps the start of the stream, so that its tokens are older than those of any other stage.
  var holdsStreamStart: Bool { get }

  /// One past the highest slot that ever held a token, which bounds what a snapshot has to save.
  var usedSlots: Int { get }

  /// Of so many tokens, how many one chunk may have.
  func admissible(_ wanted: Int) -> Int

  /// Makes ready for a chunk.
  ///
  /// - Parameter arriving: tokens that the stage before lets go all together.
  /// - Returns: tokens that this stage lets go all together.
  mutating func open(arriving: Int) -> Int

  /// Takes in a token that reached this stage, or sends it on.
  mutating func accept(_ arrival: Arrival) -> Acceptance

  /// Appends what the tokens of a chunk may read of this stage as it stands before the chunk.
  func read(_ context: ReadContext, into step: inout StepPlan)

  /// The clock of the token that a used slot holds; asked only where distances are not in the keys (ALiBi).
  func clock(ofSlot slot: Int) -> Int64

  /// Lets go of all tokens but the first, as if the others had not come; asked only where the blueprint allows it.
  mutating func cut(to tokens: Int)

  /// The counters that define the stage, for snapshots.
  var counters: [Int64] { get }

  /// Which of them is the first of those that there are of each head that is stored; nil where all are the same for all heads.
  var firstHeadCounter: Int? { get }

  /// Takes up counters saved by `counters`.
  ///
  /// - Throws: `KVCacheError` where the counters are impossible for this stage.
  mutating func restore(_ counters: [Int64]) throws(KVCacheError)
}

extension Stage {
  package var holdsStreamStart: Bool { false }
  package var firstHeadCounter: Int? { nil }
  package func admissible(_ wanted: Int) -> Int { wanted }
  package mutating func cut(to tokens: Int) { preconditionFailure("a stage of which no start can be told") }

  package mutating func open(arriving: Int) -> Int {
    assert(arriving == 0, "the stage takes tokens one by one")
    return 0
  }
}

/// A token that reaches a stage.
package struct Arrival: Sendable {
  /// The clock of the token where it comes from: its place in the stream, or its clock in the stage before.
  package var clock: Int64
  /// The place in the stream, after the sinks, of the token whose coming set this one in motion.
  package var streamIndex: Int64
  /// Whether that token came while the cache still had room for it, or just filled it.
  package var cacheIsFilling: Bool
}

/// The decision of a stage about a token that reached it.
package enum Acceptance: Sendable, Hashable {
  /// The token goes into a free slot, stored at `clock`.
  case take(slot: Int, clock: Int64)

  /// The token goes into a slot whose token, stored at `fallingClock`, falls into the next stage.
  case exchange(slot: Int, clock: Int64, fallingClock: Int64)

  /// The token with the higher score has the slot, at `clock`, and the other one is forgotten; the arriving token where
  /// scores are equal or not kept.
  case contest(slot: Int, clock: Int64)

  /// The token takes the place, at `clock`, of that token of the first `slots` slots that has the lowest score, unless its
  /// own is lower; the loser falls into the next stage. A clock of nil keeps the clock with which tokens come.
  case challenge(slots: Int, clock: Int64?)

  /// The token is absorbed by the stage's state, its key turned to `clock`; nil leaves it as it comes, rotated to its place
  /// in the stream.
  case absorb(clock: Int64?)

  /// The token is not for this stage and goes on.
  case pass
}

/// What a stage needs to know of the cache around it to say what a chunk reads.
package struct ReadContext: Sendable {
  /// The stage's index in the plan, first stage 0.
  package var stage: Int
  /// Tokens in the chunk.
  package var chunk: Int
  /// The place in the stream of the chunk's first token.
  package var streamPosition: Int64
  /// Tokens held by all stages before the chunk.
  package var heldTokens: Int
  /// Tokens held by the stages that keep newer tokens than this one does, and keep them in order.
  package var newerTokens: Int
  /// Tokens held by the stages that keep older tokens than this one does, without the start of the stream.
  package var olderTokens: Int
  /// Whether queries keep their places in the stream.
  package var usesOriginalPositions: Bool
  /// The most tokens the cache can hold, the current one included, where each token of the chunk must see exactly what
  /// it would see if tokens came one at a time; nil where the cache grows, or shows a chunk more than that.
  package var slidingCapacity: Int?

  /// How many of the stage's oldest tokens are gone when token `token` of the chunk reads; 0 or less for none, and more
  /// than it holds for all.
  package func hiddenTokens(from token: Int) -> Int {
    guard let slidingCapacity else { return 0 }
    return heldTokens + token + 1 - slidingCapacity - olderTokens
  }
}
