/// A part of a cache plan that users write, such as `Sinks(4)` or `window:1020`.
///
/// A new cache policy is one file in `Stages/` with a specification and a `Stage`, one line in `StageRegistry`, and
/// one row in the test matrix.
public protocol StageSpecification: Sendable, CustomStringConvertible {
  /// The most tokens the stage holds apart, or nil where it grows with the stream.
  var capacity: Int? { get }

  /// How the stage works.
  var blueprint: StageBlueprint { get }
}

/// How a stage works: all that a cache asks of it. Only stages of this package have one.
public struct StageBlueprint: Sendable {
  /// A fresh, empty stage.
  package let makeStage: @Sendable () -> any Stage

  /// Whether the stage lets tokens go in the order in which they came, oldest first, or never.
  package var evictsInOrder = true

  /// Whether the tokens of a chunk see all of the chunk before them, even where a token that comes alone would see less.
  ///
  /// A cache of other stages only, all of which evict in order, shows every token of a chunk exactly what it would see
  /// alone.
  package var showsWholeChunk = false

  /// Where the stage's tokens stand for the queries that read them.
  package var distance = StageDistance.inCache

  /// Whether the tokens that it holds follow each other in the stream, so that their places there are known.
  package var isGapless = true

  /// The first tokens of the stream that it keeps for ever; such a stage comes first.
  package var streamStart = 0

  /// Whether no other stage can stand beside it.
  package var standsAlone = false

  /// Whether it lets all its tokens go together, so that the stage behind it takes them in by `Stage.open`.
  package var letsGoTogether = false

  /// Whether it holds more than its capacity until a prompt has ended; such a stage comes last.
  package var opensForPrompt = false

  /// Whether it has no slots: what arrives is taken up by its state, so it stands behind stages that keep tokens apart.
  package var absorbs = false

  /// Whether it keeps every token for ever in the order of the stream, so that `Stage.cut` serves.
  package var canBeCut = false

  /// How its slots grow, where it has no capacity.
  package var growth = SlotGrowth.doubling

  /// What is kept for the stage beside slots. Stages that ask for the same state share it.
  var states: [any StateSpecification] = []

  package init(makeStage: @escaping @Sendable () -> any Stage) { self.makeStage = makeStage }
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
