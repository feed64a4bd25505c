/// Attention sinks: the first tokens of the stream, kept for ever.
///
/// Source: Xiao et al., "Efficient Streaming Language Models with Attention Sinks", arXiv 2309.17453, section 3.
/// Positions are taken inside the cache, so a query reads the sinks from at most the cache's size away; or in the stream,
/// where DuoAttention (arXiv 2410.10819) reads them, good within the trained length.
public struct Sinks: StageSpecification {
  /// How many tokens are kept.
  public let count: Int
  /// `inCache` or `original`.
  public let distance: StageDistance

  /// - Precondition: `count` is at least 1 and `distance` is not `clipped`.
  public init(_ count: Int, distance: StageDistance = .inCache) {
    precondition(count >= 1, "a sinks stage holds at least one token")
    precondition(distance != .clipped, "the start of the stream keeps its order")
    self.count = count
    self.distance = distance
  }

  public var capacity: Int? { count }
  public var description: String { "sinks:\(count)" + (distance == .original ? "[positions=original]" : "") }

  public var blueprint: StageBlueprint {
    let count = count
    var blueprint = StageBlueprint { SinksStage(limit: count) }
    blueprint.streamStart = count
    blueprint.distance = distance
    return blueprint
  }

  static let options = ["positions"]

  static let registration = StageRegistration(name: "sinks", form: "sinks:COUNT", options: options) {
    parameters throws(KVCacheError) in
    let count = try parameters.count("count", maximum: StageParameters.largestCount, example: 4)
    return Sinks(count, distance: try distance(parameters))
  }

  /// The option `positions`.
  static func distance(_ parameters: StageParameters) throws(KVCacheError) -> StageDistance {
    switch parameters.options["positions"] {
    case nil, "in-cache": return .inCache
    case "original": return .original
    case .some(let text): throw parameters.fail("positions must be in-cache or original, but is '\(text)'")
    }
  }
}

struct SinksStage: Stage {
  let limit: Int
  private(set) var count = 0

  init(limit: Int) { self.limit = limit }

  var capacity: Int? { limit }
  var usedSlots: Int { count }
  var holdsStreamStart: Bool { true }

  mutating func accept(_ arrival: Arrival) -> Acceptance {
    guard count < limit else { return .pass }
    defer { count += 1 }
    return .take(slot: count, clock: Int64(count))
  }

  func read(_ context: ReadContext, into step: inout StepPlan) {
    guard !context.usesOriginalPositions else {
      return step.read(
        stage: context.stage, slots: 0..<count, clock: StepPlan.QueryClock(first: context.streamPosition))
    }
    let limit = context.slidingCapacity.map { $0 - 1 } ?? .max
    // A limit that no token of the chunk reaches is none: the clock is then the same as that of the other stages.
    let isReached = limit < context.heldTokens + context.chunk - 1
    let clock = StepPlan.QueryClock(first: Int64(context.heldTokens), limit: isReached ? Int64(limit) : .max)
    step.read(stage: context.stage, slots: 0..<count, clock: clock)
  }

  func clock(ofSlot slot: Int) -> Int64 { Int64(slot) }

  var counters: [Int64] { [Int64(count)] }

  mutating func restore(_ counters: [Int64]) throws(KVCacheError) {
    guard counters.count == 1, (0...Int64(limit)).contains(counters[0]) else {
      throw .badSnapshot("impossible sinks state")
    }
    count = Int(counters[0])
  }
}
