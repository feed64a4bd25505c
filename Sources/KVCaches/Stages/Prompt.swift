/// Every token of the prompt until it ends, then those that its last tokens attend to; after that it grows with the answer.
///
/// When the prompt ends, the last `window` tokens vote: in every head the attention that they gave to each earlier token is
/// summed up, pooled along the sequence so that the neighbours of a peak come along, and reduced over the query heads that
/// share a KV head. Each KV head of each layer keeps the tokens with the most votes, and the window itself. The prompt is
/// computed with full attention, so the first token of the answer is that of the full cache; nothing is evicted while the
/// answer is written. Tokens keep their places in the stream: their keys are not rotated anew.
///
/// Source: Li et al., "SnapKV: LLM Knows What You are Looking for Before Generation", arXiv 2404.14469. Deviations: one
/// choice per KV head and not per query head, whose cache would be a group's size larger (pooled votes of the group's
/// heads are averaged); of equal votes the earlier token is kept.
/// Budgets that fall over the layers are PyramidKV's (arXiv 2406.02069): for a prompt of fewer than twice the budget the
/// pyramid is flatter, with the same total, as in Ada-KV's code, where KVCache-Factory gives all layers the same. Budgets
/// that differ from head to head are Ada-KV's (arXiv 2407.11550), without its code's optional weighing of heads by the share
/// of their votes. Voting again at later prompts is ours.
///
/// In place of a vote, greedy k-center may choose: the tokens whose keys cover all others' best (what Zandieh et al.,
/// "SubGen: Token Generation in Sublinear Time and Memory", arXiv 2402.06082, ran in their experiments; see `Centers`).
public struct Prompt: StageSpecification, StateSpecification {
  /// How much is kept of a prompt.
  public enum Size: Sendable, Hashable {
    /// So many tokens a head, the window included.
    case tokens(Int)
    /// All but this share of the tokens before the window, 0 to 1: the paper's compression rate.
    case dropping(Double)
  }

  /// How the tokens before the window are chosen.
  public enum Choice: Sendable, Hashable {
    /// By the attention that the window gives them (SnapKV).
    case votes
    /// So that their keys cover those of all others (greedy k-center).
    case centers(Centers)
    /// At random, each head for itself and always the same: what other choices are measured against.
    case random
  }

  /// What stands for the tokens that are not kept.
  ///
  /// Each is nearest to one center, which has the weight of all tokens that it stands for: log(count) is added to its logit.
  /// The paper says nothing of weights; more numbers are found again with them (docs/measurements.md). Keys are compared as
  /// they are stored, with the places to which they were rotated.
  public struct Centers: Sendable, Hashable {
    /// After how many more tokens centers are chosen again, among the old ones, which keep the number of tokens they
    /// stand for, and the new ones, so that memory stays bounded; nil where all that comes after the prompt is kept.
    public var recompression: Int?

    /// - Precondition: a recompression is after at least one token.
    public init(recompression: Int? = nil) {
      precondition(recompression ?? 1 >= 1, "a recompression of no tokens")
      self.recompression = recompression
    }
  }

  /// How votes are smoothed along the sequence.
  public enum Pooling: Sendable, Hashable {
    case none
    /// The largest of `kernel` votes around each token.
    case maximum(kernel: Int)
    /// The sum of the votes around each token over `kernel`; there are none beyond the ends.
    case average(kernel: Int)
  }

  /// Which prompts of a sequence are voted down.
  public enum Mode: String, Sendable, Hashable, CaseIterable {
    /// The first one; everything after it is kept.
    case once
    /// Each one, with all that is held then.
    case everyPrefill = "every-prefill"
  }

  /// The way of a prompt through the model.
  public enum Order: String, Sendable, Hashable, CaseIterable {
    /// Each chunk through all layers: until the prompt ends, all layers hold all of it.
    case chunkMajor = "chunk-major"
    /// All chunks through one layer, which is then cut, before the next layer begins: only one layer at a time holds
    /// all of the prompt, beside the hidden state of every token. For the first prompt of a sequence, where the engine
    /// knows all of it; the choice is the same.
    case layerMajor = "layer-major"
  }

  /// How the budget is shared out over the layers.
  public enum LayerBudgets: String, Sendable, Hashable, CaseIterable {
    case uniform
    /// Linearly less from the first layer to the last, which keeps a twentieth of the mean.
    case pyramid
  }

  /// How a layer's budget is shared out over its KV heads.
  public enum HeadBudgets: String, Sendable, Hashable, CaseIterable {
    case uniform
    /// Ada-KV: of its even share each head has a fifth for certain; the rest is shared out as the most votes of all heads
    /// together are. Rounded head by head, so that a layer may keep some tokens more or less.
    case adaptive
    /// The most votes of all heads together, once each head has a fifth of its even share (as NVIDIA's kvpress reads
    /// Ada-KV).
    case floor
  }

  public let size: Size
  public let choice: Choice
  /// The tokens at the end of the prompt that vote, and are kept; with `scalesWindow` the least.
  public let window: Int
  /// Whether the window is a quarter of what is kept of a prompt, as it is for centers with a ratio where none is given.
  public let scalesWindow: Bool
  /// The tokens at the start of the stream that are kept.
  public let sinks: Int
  public let pooling: Pooling
  /// How the query heads that share a KV head agree: mean or maximum.
  public let reduction: ScoreRule.Reduction
  public let mode: Mode
  public let order: Order
  public let layers: LayerBudgets
  public let heads: HeadBudgets

  /// The setting of the published runs on LongBench.
  public static let standardPooling = Pooling.maximum(kernel: 7)

  /// The window where none is given: a quarter of the budget for centers, and at least 32; else 32. With a ratio the
  /// budget follows from the prompt, and this is the least.
  public static func standardWindow(_ size: Size, _ choice: Choice) -> Int {
    guard case .centers = choice, case .tokens(let count) = size else { return 32 }
    return max(32, count / 4)
  }

  /// The sinks where none are given: 4, but none beside votes, which find them.
  public static func standardSinks(_ choice: Choice) -> Int { choice == .votes ? 0 : 4 }

  /// - Parameters:
  ///   - window: nil for `standardWindow`
  ///   - sinks: nil for `standardSinks`
  /// - Precondition: the window is at least 1 and with the sinks below the size, a kernel is odd, the reduction is not
  ///   the median; adaptive budgets are for votes; a recompression is for a size in tokens and one prompt.
  public init(
    _ size: Size = .tokens(2048), choice: Choice = .votes, window: Int? = nil, sinks: Int? = nil,
    pooling: Pooling = standardPooling, reduction: ScoreRule.Reduction = .mean, mode: Mode = .once,
    order: Order = .chunkMajor, layers: LayerBudgets = .uniform, heads: HeadBudgets = .uniform
  ) {
    if case .centers = choice, case .dropping = size, window == nil {
      scalesWindow = true
    } else {
      scalesWindow = false
    }
    let (window, sinks) = (
      window ?? Self.standardWindow(size, choice), sinks ?? Self.standardSinks(choice)
    )
    precondition(window >= 1 && sinks >= 0, "a window holds at least one token")
    switch size {
    case .tokens(let count): precondition(count > window + sinks, "a budget beyond the window")
    case .dropping(let share): precondition((0...1).contains(share), "a share is from 0 to 1")
    }
    precondition(pooling.kernel % 2 == 1 && pooling.kernel >= 1, "an even kernel has no middle")
    precondition(reduction != .median, "votes have a mean or a maximum")
    precondition(heads == .uniform || choice == .votes, "only votes say which head needs more")
    self.size = size
    self.choice = choice
    self.window = window
    self.sinks = sinks
    self.pooling = pooling
    self.reduction = reduction
    self.mode = mode
    self.order = order
    self.layers = layers
    self.heads = heads
    if recompression != nil {
      guard case .tokens = size, mode == .once else {
        preconditionFailure("a recompression to a size, after one prompt")
      }
    }
  }

  public var capacity: Int? { nil }

  public var blueprint: StageBlueprint {
    let stage = PromptStage(isRepeated: mode == .everyPrefill)
    var blueprint = StageBlueprint { stage }
    blueprint.distance = .original
    blueprint.standsAlone = true
    blueprint.states = [self]
    return blueprint
  }

  // Budgets that follow the votes are shared out over all heads of a layer, and votes over all slots.
  var partitions: Partitions { heads == .uniform ? [.byHead, .byRequest] : .byRequest }

  func bytes(_ site: StateSite, tokens: Int) -> Int { ObservationWindow.bytes(size: voters, site) }
  func makeState(_ site: StateSite) -> StageState { PromptState(self, site) }

  /// What stands for tokens that are not kept, nil where they are forgotten.
  var centers: Centers? { if case .centers(let centers) = choice { centers } else { nil } }

  /// After how many more tokens the cache is compressed again, nil for never.
  public var recompression: Int? { centers?.recompression }

  /// The newest tokens whose queries are kept for a vote, 0 where none is held.
  var voters: Int { choice == .votes ? window : 0 }

  /// Tokens that a head keeps of a prompt of so many, in the mean over layers and heads; with adaptive heads nearly.
  public func keptTokens(of count: Int) -> Int {
    let window = window(of: count)
    return count <= window ? count : window + chosen(of: count)
  }

  /// The tokens at the end of a prompt of so many that are kept apart.
  func window(of count: Int) -> Int { scalesWindow ? max(window, share(of: count) / 4) : window }

  /// Bytes of the keys and values that are kept of a prompt of so many tokens, and of what they stand for.
  public func keptBytes(of count: Int, shape: KVCache.Shape, slotType: KVCache.SlotType) -> Int {
    let perSlot = KVCache.bytesPerToken(shape: shape, slotType: slotType) / (shape.layers * shape.keyValueHeads)
    return keptTokens(of: count) * shape.layers * shape.keyValueHeads
      * (perSlot + PackedSlots.bytesPerCount(isCounted: centers != nil))
  }

  /// Tokens that a head keeps of a prompt of `count` tokens, more than the window, before that, sinks included, in the
  /// mean over layers and heads.
  ///
  /// A ratio is of the tokens before a window that is given; else of the prompt, so that the window is part of what is kept.
  func chosen(of count: Int) -> Int {
    if scalesWindow { return max(0, share(of: count) - window(of: count)) }
    switch size {
    case .tokens(let size): return min(size - window, count - window)
    case .dropping: return share(of: count - window)
    }
  }

  /// What a ratio leaves of so many tokens.
  private func share(of count: Int) -> Int {
    guard case .dropping(let share) = size else { return count }
    return count - DecimalShare.of(count, share: share, .up)
  }
}

extension Prompt.Pooling {
  /// The votes that are pooled into one, an odd number.
  public var kernel: Int {
    switch self {
    case .none: 1
    case .maximum(let kernel), .average(let kernel): kernel
    }
  }
}

/// The tokens that were chosen lie in a packed block, each head's own; all that came later lie behind it.
struct PromptStage: Stage {
  /// Whether later prompts are voted down as well.
  let isRepeated: Bool
  /// Tokens that every head holds, in blocks that grow.
  private(set) var grown = 0
  /// Tokens in the packed block, `[layer, KV head]`; empty while there is none.
  private(set) var packed: [Int] = []
  /// Whether the prompt has ended for good.
  private(set) var isFinished = false
  private(set) var largestPacked = 0
  private var meanPacked = 0

  init(isRepeated: Bool) { self.isRepeated = isRepeated }

  var capacity: Int? { nil }
  /// Of heads that hold different numbers of tokens their mean, rounded up.
  var count: Int { meanPacked + grown }
  var usedSlots: Int { grown }

  /// Notes the end of a prompt.
  mutating func finish() { isFinished = !isRepeated }

  /// Notes that all tokens held now lie in a packed block of so many, `[layer, KV head]`.
  mutating func pack(_ counts: [Int]) {
    grown = 0
    packed = counts
    largestPacked = counts.max() ?? 0
    meanPacked = counts.isEmpty ? 0 : (counts.reduce(0, +) + counts.count - 1) / counts.count
  }

  mutating func accept(_ arrival: Arrival) -> Acceptance {
    defer { grown += 1 }
    return .take(slot: grown, clock: arrival.clock)
  }

  func read(_ context: ReadContext, into step: inout StepPlan) {
    let clock = StepPlan.QueryClock(first: context.streamPosition)
    step.readPacked(stage: context.stage, slots: largestPacked, clock: clock)
    step.read(stage: context.stage, slots: 0..<grown, clock: clock)
  }

  func clock(ofSlot slot: Int) -> Int64 {
    preconditionFailure("which token stands in a slot differs from head to head")
  }

  var counters: [Int64] { [isFinished ? 1 : 0, Int64(grown)] + packed.map { Int64($0) } }
  var firstHeadCounter: Int? { 2 }

  mutating func restore(_ counters: [Int64]) throws(KVCacheError) {
    let slots = 0..<Int64(Int32.max)
    guard counters.count >= 2, counters[0] == 0 || (counters[0] == 1 && !isRepeated), slots.contains(counters[1]),
      counters.dropFirst(2).allSatisfy({ slots.contains($0) && $0 > 0 }),
      counters.count == 2 || isRepeated || counters[0] == 1
    else { throw .badSnapshot("impossible prompt state") }
    pack(counters.dropFirst(2).map { Int($0) })
    (isFinished, grown) = (counters[0] == 1, Int(counters[1]))
  }
}
