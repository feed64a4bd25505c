/// The tokens of the current segment: a window that is let go as a whole when it is full.
///
/// Source: Munkhdalai, Faruqui, Gopal, "Leave No Context Behind: Efficient Infinite Context Transformers with
/// Infini-attention", arXiv 2404.07143. A token sees the tokens of its segment up to itself; the first token of the next
/// segment sees none of this one, which by then is in the memory behind (`Compressive`). A chunk ends where a segment does.
public struct Segment: StageSpecification {
  /// How many tokens a segment has.
  public let size: Int

  /// - Precondition: `size` is at least 1.
  public init(_ size: Int) {
    precondition(size >= 1, "a segment holds at least one token")
    self.size = size
  }

  public var capacity: Int? { size }
  public var description: String { "segment:\(size)" }

  public var blueprint: StageBlueprint {
    let stage = SegmentStage(size: size)
    var blueprint = StageBlueprint { stage }
    blueprint.letsGoTogether = true
    return blueprint
  }

  static let registration = StageRegistration(name: "segment", form: "segment:SIZE", options: []) {
    parameters throws(KVCacheError) in
    Segment(try parameters.count("size", maximum: StageParameters.largestCount, example: 2048))
  }
}

struct SegmentStage: Stage {
  let size: Int
  /// Tokens of the segment so far.
  private(set) var count = 0
  /// Whether a segment was ever filled.
  private var wasFull = false
  /// The clock of the segment's first token.
  private var firstClock: Int64 = 0

  init(size: Int) { self.size = size }

  var capacity: Int? { size }
  var usedSlots: Int { wasFull ? size : count }

  func admissible(_ wanted: Int) -> Int { min(wanted, count < size ? size - count : size) }

  mutating func open(arriving: Int) -> Int {
    guard count == size else { return 0 }
    (count, wasFull) = (0, true)
    return size
  }

  mutating func accept(_ arrival: Arrival) -> Acceptance {
    if count == 0 { firstClock = arrival.clock }
    defer { count += 1 }
    return .take(slot: count, clock: firstClock + Int64(count))
  }

  func read(_ context: ReadContext, into step: inout StepPlan) {
    step.read(stage: context.stage, slots: 0..<count, clock: StepPlan.QueryClock(first: firstClock + Int64(count)))
  }

  func clock(ofSlot slot: Int) -> Int64 { firstClock + Int64(slot) }

  var counters: [Int64] { [Int64(count), wasFull ? 1 : 0, firstClock] }

  mutating func restore(_ counters: [Int64]) throws(KVCacheError) {
    guard counters.count == 3, (0...Int64(size)).contains(counters[0]), (0...1).contains(counters[1]),
      (0..<Int64.max / 2).contains(counters[2])
    else { throw .badSnapshot("impossible segment state") }
    (count, wasFull, firstClock) = (Int(counters[0]), counters[1] == 1, counters[2])
  }
}
