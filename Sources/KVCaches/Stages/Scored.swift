/// The tokens that attention valued most, of those that reached the stage: the heavy hitters of H2O, and TOVA.
///
/// A token that reaches the full stage takes the slot of the one with the lowest score, unless its own is lower. Every KV
/// head of every layer decides alone, so order is lost: clocks cannot say how far a token is away. Either the tokens keep
/// their places in the stream, as the papers ran them, or all stand at one distance just beyond the newer tokens.
///
/// Sources: Zhang et al., "H2O: Heavy-Hitter Oracle", arXiv 2306.14048, with the sum of all attention as score; Oren et
/// al., "Transformers are Multi-State RNNs" (TOVA), arXiv 2401.06104, with that of the last query. Deviations: TOVA's
/// scores are per KV head and not per layer (`homogeneous=on` with `reduce=mean` is the paper's), and its newest token
/// is safe for one step; the tokens of a chunk are decided on together, at its end.
public struct Scored: StageSpecification {
  /// How many tokens are kept.
  public let count: Int
  public let scoring: ScoreRule
  /// `original` or `clipped`.
  public let distance: StageDistance

  /// The plain sum of H2O over the mean of the group's heads.
  public static let standardScoring = ScoreRule(decay: 1, reduction: .mean)

  /// - Precondition: `count` is at least 1 and `distance` is not `inCache`.
  public init(_ count: Int, scoring: ScoreRule = standardScoring, distance: StageDistance = .clipped) {
    precondition(count >= 1, "a scored stage holds at least one token")
    precondition(distance != .inCache, "tokens that leave in any order have no positions inside the cache")
    self.count = count
    self.scoring = scoring
    self.distance = distance
  }

  public var capacity: Int? { count }

  public var blueprint: StageBlueprint {
    let stage = ScoredStage(size: count, isClipped: distance == .clipped)
    var blueprint = StageBlueprint { stage }
    blueprint.evictsInOrder = false
    blueprint.distance = distance
    blueprint.states = [ScoreSpecification(rule: scoring)]
    return blueprint
  }

  public var description: String {
    var options = scoring.options(differingFrom: Self.standardScoring)
    if distance == .original { options.append("positions=original") }
    return "scored:\(count)" + (options.isEmpty ? "" : "[\(options.joined(separator: ","))]")
  }

  static let options = StageParameters.scoreOptions + ["positions"]

  static let registration = StageRegistration(name: "scored", form: "scored:COUNT", options: options) {
    parameters throws(KVCacheError) in
    Scored(
      try parameters.count("count", maximum: StageParameters.largestCount, example: 128),
      scoring: try parameters.scoreRule(decay: standardScoring.decay, reduction: standardScoring.reduction),
      distance: try parameters.distance(default: .clipped))
  }
}

extension StageParameters {
  /// The option `positions`.
  func distance(default standard: StageDistance) throws(KVCacheError) -> StageDistance {
    guard let text = options["positions"] else { return standard }
    switch text {
    case "original": return .original
    case "clipped": return .clipped
    default: throw fail("positions must be original or clipped, but is '\(text)'")
    }
  }
}

struct ScoredStage: Stage {
  let size: Int
  let isClipped: Bool
  private(set) var count = 0

  init(size: Int, isClipped: Bool) {
    self.size = size
    self.isClipped = isClipped
  }

  var capacity: Int? { size }
  var usedSlots: Int { count }

  mutating func accept(_ arrival: Arrival) -> Acceptance {
    guard count < size else { return .challenge(slots: size, clock: isClipped ? 0 : nil) }
    defer { count += 1 }
    return .take(slot: count, clock: isClipped ? 0 : arrival.clock)
  }

  func read(_ context: ReadContext, into step: inout StepPlan) {
    let clock = StepPlan.QueryClock(first: isClipped ? Int64(context.newerTokens) + 1 : context.streamPosition)
    step.read(stage: context.stage, slots: 0..<count, clock: clock)
  }

  func clock(ofSlot slot: Int) -> Int64 {
    precondition(isClipped, "which token stands in a slot differs from head to head")
    return 0
  }

  var counters: [Int64] { [Int64(count)] }

  mutating func restore(_ counters: [Int64]) throws(KVCacheError) {
    guard counters.count == 1, (0...Int64(size)).contains(counters[0]) else {
      throw .badSnapshot("impossible scored state")
    }
    count = Int(counters[0])
  }
}
