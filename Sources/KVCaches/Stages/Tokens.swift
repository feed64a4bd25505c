/// Every token, without bound: the ordinary KV cache.
public struct Tokens: StageSpecification {
  public init() {}

  public var capacity: Int? { nil }
  public var description: String { "tokens" }
  public var blueprint: StageBlueprint {
    var blueprint = StageBlueprint { TokensStage() }
    blueprint.canBeCut = true
    return blueprint
  }

  static let registration = StageRegistration(name: "tokens", form: "tokens", options: []) {
    parameters throws(KVCacheError) in
    try parameters.none()
    return Tokens()
  }
}

struct TokensStage: Stage {
  private(set) var entered: Int64 = 0
  private(set) var nextClock: Int64 = 0

  var capacity: Int? { nil }
  var count: Int { Int(entered) }
  var usedSlots: Int { count }

  mutating func accept(_ arrival: Arrival) -> Acceptance {
    if entered == 0 { nextClock = arrival.clock }
    defer {
      entered += 1
      nextClock += 1
    }
    return .take(slot: Int(entered), clock: nextClock)
  }

  func read(_ context: ReadContext, into step: inout StepPlan) {
    let clock = StepPlan.QueryClock(first: nextClock + Int64(context.newerTokens))
    step.read(stage: context.stage, slots: 0..<count, clock: clock)
  }

  func clock(ofSlot slot: Int) -> Int64 { nextClock - entered + Int64(slot) }

  mutating func cut(to tokens: Int) {
    precondition(tokens >= 0 && tokens <= count, "more tokens than it holds")
    nextClock -= entered - Int64(tokens)
    entered = Int64(tokens)
  }

  var counters: [Int64] { [entered, nextClock] }

  mutating func restore(_ counters: [Int64]) throws(KVCacheError) {
    guard counters.count == 2, counters[0] >= 0, counters[0] < 1 << 40, counters[1] >= counters[0],
      counters[1] < .max / 2
    else {
      throw .badSnapshot("impossible tokens state")
    }
    (entered, nextClock) = (counters[0], counters[1])
  }
}
