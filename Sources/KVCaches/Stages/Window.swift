/// A rolling window: the most recent tokens, in a ring whose oldest token falls into the next stage.
///
/// As the last stage after sinks this is StreamingLLM (arXiv 2309.17453); alone it is window attention. The size counts
/// the current token. No stored key moves when the window slides: keys keep the clock they came with, and within a run of
/// consecutive tokens differences of clocks are distances in the cache.
public struct Window: StageSpecification {
  /// How many tokens are kept.
  public let size: Int

  /// - Precondition: `size` is at least 1.
  public init(_ size: Int) {
    precondition(size >= 1, "a window holds at least one token")
    self.size = size
  }

  public var capacity: Int? { size }
  public var evictsInOrder: Bool { true }
  public var description: String { "window:\(size)" }
  public func makeStage() -> any Stage { WindowStage(size: size) }

  static let registration = StageRegistration(name: "window", form: "window:SIZE", options: []) {
    parameters throws(KVCacheError) in
    Window(try parameters.count("size", maximum: StageParameters.largestCount, example: 1024))
  }
}

struct WindowStage: Stage {
  let size: Int
  /// Tokens that ever entered; the next one takes slot `entered % size`.
  private(set) var entered: Int64 = 0
  /// The clock of the next token; consecutive from the first one's place in the stream on.
  private(set) var nextClock: Int64 = 0

  init(size: Int) { self.size = size }

  var capacity: Int? { size }
  var count: Int { Int(min(entered, Int64(size))) }
  var usedSlots: Int { count }

  mutating func accept(clock: Int64) -> Acceptance {
    if entered == 0 { nextClock = clock }
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

  var state: [Int64] { [entered, nextClock] }

  mutating func restore(_ state: [Int64]) throws(KVCacheError) {
    guard state.count == 2, state[0] >= 0, state[1] >= state[0], state[1] < .max / 2 else {
      throw .badSnapshot("impossible window state")
    }
    (entered, nextClock) = (state[0], state[1])
  }
}
