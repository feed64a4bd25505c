/// What a stage is made from: the part of a cache plan that users write, such as `Sinks(4)` or `window:1020`.
///
/// A new cache policy is one file in `Stages/` with a specification and a `Stage`, one line in `StageRegistry`, and
/// one row in the test matrix.
public protocol StageSpecification: Sendable, CustomStringConvertible {
  /// The most tokens the stage can hold, or nil where it grows with the stream.
  var capacity: Int? { get }

  /// Whether the stage lets tokens go in the order in which they came, oldest first, or never.
  var evictsInOrder: Bool { get }

  /// Whether the tokens of a chunk see all of the chunk before them, even where a token that comes alone would see less.
  ///
  /// A cache of other stages only, all of which evict in order, shows every token of a chunk exactly what it would see
  /// alone.
  var showsWholeChunk: Bool { get }

  /// How the stage wants tokens to be scored, nil where it does not care.
  var scoring: ScoreRule? { get }

  /// Where the stage's tokens stand for the queries that read them.
  var distance: StageDistance { get }

  /// How a token that comes alone reads only some pages of the stage, nil where it reads all; for stages that keep every
  /// token, in the order in which they come.
  var pageReading: PageReading? { get }

  /// A fresh, empty stage.
  func makeStage() -> any Stage
}

/// How a query knows the distance to the tokens of a stage.
public enum StageDistance: Sendable, Hashable {
  /// Positions inside the cache, without gaps: the stage's clock counts them.
  case inCache
  /// Places in the stream, as papers without endless streams have it; valid inside the length a model was trained for.
  case original
  /// All tokens of the stage at one distance, just beyond those that are newer.
  case clipped
}

extension StageSpecification {
  public var showsWholeChunk: Bool { false }
  public var scoring: ScoreRule? { nil }
  public var distance: StageDistance { .inCache }
  public var pageReading: PageReading? { nil }
}

/// The bookkeeping of one stage of one sequence: which slot a token takes, and which slots a query may read.
///
/// A stage decides and never touches a float: one decision holds for every layer and every KV head, and `KVCache`
/// replays it there. Where scores decide, the stage says between whom. Slots are numbered from 0 within the stage. Clocks
/// count positions inside the cache: a key is stored rotated by its own clock, and a query that reads the stage is rotated
/// once by the stage's query clock.
public protocol Stage: Sendable {
  /// The most tokens the stage can hold, or nil where it grows with the stream.
  var capacity: Int? { get }

  /// Tokens held now.
  var count: Int { get }

  /// Whether the stage keeps the start of the stream, so that its tokens are older than those of any other stage.
  var holdsStreamStart: Bool { get }

  /// One past the highest slot that ever held a token, which bounds what a snapshot has to save.
  var usedSlots: Int { get }

  /// Takes in a token that reached this stage, or sends it on.
  mutating func accept(_ arrival: Arrival) -> Acceptance

  /// Appends what the tokens of a chunk may read of this stage as it stands before the chunk.
  func read(_ context: ReadContext, into step: inout StepPlan)

  /// The clock of the token that a used slot holds; asked only where distances are not in the keys (ALiBi).
  func clock(ofSlot slot: Int) -> Int64

  /// The counters that define the stage, for snapshots.
  var state: [Int64] { get }

  /// Takes up counters saved by `state`.
  ///
  /// - Throws: `KVCacheError` where the counters are impossible for this stage.
  mutating func restore(_ state: [Int64]) throws(KVCacheError)
}

/// A token that reaches a stage.
public struct Arrival: Sendable {
  /// The clock of the token where it comes from: its place in the stream, or its clock in the stage before.
  public var clock: Int64
  /// The place in the stream, after the sinks, of the token whose coming set this one in motion.
  public var streamIndex: Int64
  /// Whether that token came while the cache still had room for it, or just filled it.
  public var cacheIsFilling: Bool
}

/// The decision of a stage about a token that reached it.
public enum Acceptance: Sendable, Hashable {
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

  /// The token melts into the stage's summary, its key turned to `clock`; nil leaves it as it comes, rotated to its place
  /// in the stream.
  case melt(clock: Int64?)

  /// The token is not for this stage and goes on.
  case pass
}

/// What a stage needs to know of the cache around it to say what a chunk reads.
public struct ReadContext: Sendable {
  /// The stage's index in the plan, first stage 0.
  public var stage: Int
  /// Tokens in the chunk.
  public var chunk: Int
  /// The place in the stream of the chunk's first token.
  public var streamPosition: Int64
  /// Tokens held by all stages before the chunk.
  public var heldTokens: Int
  /// Tokens held by the stages that keep newer tokens than this one does, and keep them in order.
  public var newerTokens: Int
  /// Tokens held by the stages that keep older tokens than this one does, without the start of the stream.
  public var olderTokens: Int
  /// Whether queries keep their places in the stream.
  public var usesOriginalPositions: Bool
  /// The most tokens the cache can hold, the current one included, where each token of the chunk must see exactly what
  /// it would see if tokens came one at a time; nil where the cache grows, or shows a chunk more than that.
  public var slidingCapacity: Int?

  /// How many of the stage's oldest tokens are gone when token `token` of the chunk reads; 0 or less for none, and more
  /// than it holds for all.
  public func hiddenTokens(from token: Int) -> Int {
    guard let slidingCapacity else { return 0 }
    return heldTokens + token + 1 - slidingCapacity - olderTokens
  }
}

extension Stage {
  public var holdsStreamStart: Bool { false }
}
