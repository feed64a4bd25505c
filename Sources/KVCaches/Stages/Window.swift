/// A rolling window: the most recent tokens, in a ring whose oldest token falls into the next stage.
///
/// As the last stage after sinks this is StreamingLLM (arXiv 2309.17453); alone it is window attention. The size counts
/// the current token. No stored key moves when the window slides: keys keep the clock they came with, and within a run of
/// consecutive tokens differences of clocks are distances in the cache.
///
/// With a period it is a sub-cache of a cascade (Willette et al., "Training-Free Exponential Context Extension via
/// Cascading KV Cache", arXiv 2406.17808). A token that reaches it is due when its place in the stream is a multiple of
/// the period: it is appended, and the oldest falls on. One that is not due competes with the newest token of the window
/// for that one's slot, by score. Until the cache is full every token is due, unless that is switched off. The preset `cascading`
/// takes its four sinks out of the budget; the paper's quality runs have 64 beside it (`sinks=64` and 64 more).
public struct Window: StageSpecification {
  /// How many tokens are kept.
  public let size: Int
  /// Every how many places in the stream a token is appended; nil for every token, without the rules of a cascade.
  public let period: Int?
  /// How tokens compete; nil lets the newer one win.
  public let scoring: ScoreRule?
  /// Whether every token is due until the cache is full.
  public let fillsEagerly: Bool

  /// The rule of the published runs with decay as submitted (the printed constant is unknown).
  public static let cascadeScoring = ScoreRule(decay: 0.9999)

  /// A window of every token.
  ///
  /// - Precondition: `size` is at least 1.
  public init(_ size: Int) {
    precondition(size >= 1, "a window holds at least one token")
    self.size = size
    period = nil
    scoring = nil
    fillsEagerly = true
  }

  /// A sub-cache of a cascade.
  ///
  /// - Precondition: `size` and `period` are at least 1.
  public init(_ size: Int, every period: Int, scoring: ScoreRule? = cascadeScoring, fillsEagerly: Bool = true) {
    precondition(size >= 1 && period >= 1, "a window holds at least one token")
    self.size = size
    self.period = period
    self.scoring = scoring
    self.fillsEagerly = fillsEagerly
  }

  public var capacity: Int? { size }

  public var blueprint: StageBlueprint {
    let stage = WindowStage(size: size, period: period ?? 1, fillsEagerly: fillsEagerly)
    var blueprint = StageBlueprint { stage }
    blueprint.evictsInOrder = period ?? 1 == 1
    blueprint.isGapless = period ?? 1 == 1
    blueprint.showsWholeChunk = period != nil
    blueprint.states = scoring.map { [ScoreSpecification(rule: $0)] } ?? []
    return blueprint
  }

  public var description: String {
    guard let period else { return "window:\(size)" }
    var options = scoring?.options(differingFrom: Self.cascadeScoring) ?? ["select=off"]
    if !fillsEagerly { options.append("eager=off") }
    return "window:\(size)/\(period)" + (options.isEmpty ? "" : "[\(options.joined(separator: ","))]")
  }

  static let options = StageParameters.scoreOptions + ["select", "eager"]

  static let registration = StageRegistration(name: "window", form: "window:SIZE[/PERIOD]", options: options) {
    parameters throws(KVCacheError) in
    let parts = parameters.argument?.split(separator: "/", omittingEmptySubsequences: false) ?? []
    guard parts.count == 2 else {
      if let option = parameters.options.keys.min() { throw parameters.fail("\(option) is for a window with a period") }
      return Window(try parameters.count("size", maximum: StageParameters.largestCount, example: 1024))
    }
    let range = 1...StageParameters.largestCount
    return Window(
      try parameters.number(parts[0], "size", in: range), every: try parameters.number(parts[1], "period", in: range),
      scoring: try cascadeScoring(parameters), fillsEagerly: try parameters.flag("eager", default: true))
  }

  /// The rule that a cascade's options ask for, nil for `select=off`.
  static func cascadeScoring(_ parameters: StageParameters) throws(KVCacheError) -> ScoreRule? {
    let rule = try parameters.scoreRule(decay: cascadeScoring.decay, reduction: cascadeScoring.reduction)
    return try parameters.flag("select", default: true) ? rule : nil
  }
}

struct WindowStage: Stage {
  let size: Int
  let period: Int
  let fillsEagerly: Bool
  /// Tokens that were ever appended; the next one takes slot `entered % size`.
  private(set) var entered: Int64 = 0
  /// The clock of the next token; consecutive from the first one's clock where it came from on.
  private(set) var nextClock: Int64 = 0

  var capacity: Int? { size }
  var count: Int { Int(min(entered, Int64(size))) }
  var usedSlots: Int { count }

  mutating func accept(_ arrival: Arrival) -> Acceptance {
    if entered == 0 { nextClock = arrival.clock }
    let isDue = (fillsEagerly && arrival.cacheIsFilling) || arrival.streamIndex % Int64(period) == 0
    guard isDue || entered == 0 else {
      return .contest(slot: Int((entered - 1) % Int64(size)), clock: nextClock - 1)
    }
    let slot = Int(entered % Int64(size))
    defer {
      entered += 1
      nextClock += 1
    }
    guard entered >= Int64(size) else { return .take(slot: slot, clock: nextClock) }
    return .exchange(slot: slot, clock: nextClock, fallingClock: nextClock - Int64(size))
  }

  func read(_ context: ReadContext, into step: inout StepPlan) {
    guard count > 0 else { return }
    let clock = StepPlan.QueryClock(first: nextClock + Int64(context.newerTokens))
    let oldest = entered > Int64(size) ? Int(entered % Int64(size)) : 0
    let older = count - oldest
    step.read(stage: context.stage, slots: oldest..<count, clock: clock, chunk: context.chunk) { token in
      oldest + context.hiddenTokens(from: token)
    }
    step.read(stage: context.stage, slots: 0..<oldest, clock: clock, chunk: context.chunk) { token in
      context.hiddenTokens(from: token) - older
    }
  }

  func clock(ofSlot slot: Int) -> Int64 {
    let newest = (entered - 1) % Int64(size)
    let age = (newest - Int64(slot) + Int64(size)) % Int64(size)
    return nextClock - 1 - age
  }

  var counters: [Int64] { [entered, nextClock] }

  mutating func restore(_ counters: [Int64]) throws(KVCacheError) {
    guard counters.count == 2, counters[0] >= 0, counters[1] >= counters[0], counters[1] < .max / 2 else {
      throw .badSnapshot("impossible window state")
    }
    (entered, nextClock) = (counters[0], counters[1])
  }
}
