/// The tokens that attention valued most, of those that reached the stage: the heavy hitters of H2O, and TOVA.
///
/// A token that reaches the full stage takes the slot of the one with the lowest score, unless its own is lower. Every KV
/// head of every layer decides alone, so order is lost: clocks cannot say how far a token is away. Either the tokens keep
/// their places in the stream, as the papers ran them, or all stand at one distance just beyond the newer tokens.
///
/// Sources: Zhang et al., "H2O: Heavy-Hitter Oracle", arXiv 2306.14048, with the sum of all attention as score; Oren et
/// al., "Transformers are Multi-State RNNs" (TOVA), arXiv 2401.06104, with that of the last query. Deviations: TOVA's
/// scores are per KV head and not per layer (`homogeneous=on` with `reduce=mean` is the paper's), and its newest token
/// is safe for one step; the tokens of a chunk are decided on together, at its end. A prompt is evicted chunk by chunk while it
/// is read, so that memory stays bounded: the authors read all of it with full attention and let go at its end
/// (`prompt=whole`). The presets `h2o` and `tova` protect four sinks, the papers none (`sinks=0`).
public struct Scored: StageSpecification {
  /// How a prompt is read.
  public enum Prompts: String, Sendable, Hashable, CaseIterable {
    /// Within the bound, which evicts while it is read.
    case streamed
    /// With full attention; what is too much goes at its end. The first prompt of a sequence: later ones are streamed.
    case whole
  }

  /// How many tokens are kept.
  public let count: Int
  public let scoring: ScoreRule
  /// `original` or `clipped`.
  public let distance: StageDistance
  public let prompts: Prompts

  /// The plain sum of H2O over the mean of the group's heads.
  public static let standardScoring = ScoreRule(decay: 1, reduction: .mean)

  /// - Precondition: `count` is at least 1 and `distance` is not `inCache`; a prompt is read whole where tokens keep their
  ///   places in the stream.
  public init(
    _ count: Int, scoring: ScoreRule = standardScoring, distance: StageDistance = .clipped,
    prompts: Prompts = .streamed
  ) {
    precondition(count >= 1, "a scored stage holds at least one token")
    precondition(distance != .inCache, "tokens that leave in any order have no positions inside the cache")
    self.count = count
    self.scoring = scoring
    precondition(prompts == .streamed || distance == .original, "full attention is to places in the stream")
    self.distance = distance
    self.prompts = prompts
  }

  public var capacity: Int? { count }

  public var blueprint: StageBlueprint {
    let stage = ScoredStage(size: count, isClipped: distance == .clipped, isOpen: prompts == .whole)
    var blueprint = StageBlueprint { stage }
    blueprint.evictsInOrder = false
    blueprint.distance = distance
    blueprint.opensForPrompt = prompts == .whole
    blueprint.states = [ScoreSpecification(rule: scoring, opensForPrompt: prompts == .whole)]
    return blueprint
  }

  public var description: String {
    var options = scoring.options(differingFrom: Self.standardScoring)
    if distance == .original { options.append("positions=original") }
    if prompts != .streamed { options.append("prompt=\(prompts.rawValue)") }
    return "scored:\(count)" + (options.isEmpty ? "" : "[\(options.joined(separator: ","))]")
  }

  static let options = StageParameters.scoreOptions + ["positions", "prompt"]

  static let registration = StageRegistration(name: "scored", form: "scored:COUNT", options: options) {
    parameters throws(KVCacheError) in
    let distance = try parameters.distance(default: .clipped)
    return Scored(
      try parameters.count("count", maximum: StageParameters.largestCount, example: 128),
      scoring: try parameters.scoreRule(decay: standardScoring.decay, reduction: standardScoring.reduction),
      distance: distance, prompts: try prompts(parameters, distance: distance))
  }

  /// The option `prompt`.
  static func prompts(_ parameters: StageParameters, distance: StageDistance) throws(KVCacheError) -> Prompts {
    let prompts = try parameters.choice("prompt", of: Prompts.allCases, default: .streamed)
    guard prompts == .streamed || distance == .original else {
      throw parameters.fail("prompt=whole reads tokens where they stand in the stream; write positions=original")
    }
    return prompts
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
  /// Whether it keeps all that comes until a prompt has ended.
  private let opensForPrompt: Bool
  private(set) var isOpen: Bool
  private(set) var count = 0

  init(size: Int, isClipped: Bool, isOpen: Bool = false) {
    self.size = size
    self.isClipped = isClipped
    self.isOpen = isOpen
    opensForPrompt = isOpen
  }

  /// Notes that the prompt has ended and what was too much has gone.
  mutating func close() {
    isOpen = false
    count = min(count, size)
  }

  var capacity: Int? { size }
  var usedSlots: Int { count }

  mutating func accept(_ arrival: Arrival) -> Acceptance {
    guard isOpen || count < size else { return .challenge(slots: size, clock: isClipped ? 0 : nil) }
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

  var counters: [Int64] { opensForPrompt ? [Int64(count), isOpen ? 1 : 0] : [Int64(count)] }

  mutating func restore(_ counters: [Int64]) throws(KVCacheError) {
    let isOpen = opensForPrompt && counters.last == 1
    let slots = 0...Int64(isOpen ? Int(Int32.max) : size)
    guard counters.count == (opensForPrompt ? 2 : 1), slots.contains(counters[0]),
      !opensForPrompt || (0...1).contains(counters[1])
    else { throw .badSnapshot("impossible scored state") }
    (count, self.isOpen) = (Int(counters[0]), isOpen)
  }
}
