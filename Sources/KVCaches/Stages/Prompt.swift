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
/// heads are averaged); of equal votes the earlier token is kept. Budgets that fall over the layers are PyramidKV's (arXiv
/// 2406.02069), budgets that differ from head to head Ada-KV's (arXiv 2407.11550); voting again at later prompts is ours.
public struct Prompt: StageSpecification {
  /// How much is kept of a prompt.
  public enum Size: Sendable, Hashable {
    /// So many tokens a head, the window included.
    case tokens(Int)
    /// All but this share of the tokens before the window, 0 to 1: the paper's compression rate.
    case dropping(Double)
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

  /// How the budget is shared out over the layers.
  public enum LayerBudgets: String, Sendable, Hashable, CaseIterable {
    case uniform
    /// Linearly less from the first layer to the last, which keeps a twentieth of the mean.
    case pyramid
  }

  /// How a layer's budget is shared out over its KV heads.
  public enum HeadBudgets: String, Sendable, Hashable, CaseIterable {
    case uniform
    /// The most votes of all heads together, of which each head has a fifth of its even share for certain.
    case adaptive
  }

  public let size: Size
  /// The tokens at the end of the prompt that vote, and are kept.
  public let window: Int
  public let pooling: Pooling
  /// How the query heads that share a KV head agree: mean or maximum.
  public let reduction: ScoreRule.Reduction
  public let mode: Mode
  public let layers: LayerBudgets
  public let heads: HeadBudgets

  /// The setting of the published runs on LongBench.
  public static let standardPooling = Pooling.maximum(kernel: 7)

  /// - Precondition: the window is at least 1 and below the size, a kernel is odd, the reduction is not the median.
  public init(
    _ size: Size = .tokens(2048), window: Int = 32, pooling: Pooling = standardPooling,
    reduction: ScoreRule.Reduction = .mean, mode: Mode = .once, layers: LayerBudgets = .uniform,
    heads: HeadBudgets = .uniform
  ) {
    precondition(window >= 1, "a window holds at least one token")
    switch size {
    case .tokens(let count): precondition(count > window, "a budget beyond the window")
    case .dropping(let share): precondition((0...1).contains(share), "a share is from 0 to 1")
    }
    precondition(pooling.kernel % 2 == 1 && pooling.kernel >= 1, "an even kernel has no middle")
    precondition(reduction != .median, "votes have a mean or a maximum")
    self.size = size
    self.window = window
    self.pooling = pooling
    self.reduction = reduction
    self.mode = mode
    self.layers = layers
    self.heads = heads
  }

  public var capacity: Int? { nil }
  public var evictsInOrder: Bool { true }
  public var distance: StageDistance { .original }
  public func makeStage() -> any Stage { PromptStage(isRepeated: mode == .everyPrefill) }

  /// Tokens that a head keeps of a prompt of so many, in the mean over layers and heads.
  public func keptTokens(of count: Int) -> Int { count <= window ? count : window + chosen(of: count - window) }

  /// Tokens that a head keeps of `count` tokens before the window, in the mean over layers and heads.
  func chosen(of count: Int) -> Int {
    switch size {
    case .tokens(let size): min(size - window, count)
    case .dropping(let share): Int((1 - share) * Double(count))
    }
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

  fileprivate var name: String {
    switch self {
    case .none: "none"
    case .maximum: "max"
    case .average: "avg"
    }
  }
}

/// How the stage is written.
extension Prompt {
  static let options = ["window", "kernel", "pool", "reduce", "mode", "ratio", "layers", "heads"]
  private static let largestKernel = 255

  public var description: String {
    var text = "prompt"
    var options: [String] = []
    switch size {
    case .tokens(let count): text += ":\(count)"
    case .dropping(let share): options.append("ratio=\(share)")
    }
    if window != 32 { options.append("window=\(window)") }
    if pooling != .none, pooling.kernel != Self.standardPooling.kernel { options.append("kernel=\(pooling.kernel)") }
    if pooling.name != Self.standardPooling.name { options.append("pool=\(pooling.name)") }
    if reduction != .mean { options.append("reduce=\(reduction.rawValue)") }
    if mode != .once { options.append("mode=\(mode.rawValue)") }
    if layers != .uniform { options.append("layers=\(layers.rawValue)") }
    if heads != .uniform { options.append("heads=\(heads.rawValue)") }
    return options.isEmpty ? text : text + "[\(options.joined(separator: ","))]"
  }

  static let registration = StageRegistration(name: "prompt", form: "prompt:CAPACITY", options: options) {
    parameters throws(KVCacheError) in
    try Prompt(parameters)
  }

  init(_ parameters: StageParameters) throws(KVCacheError) {
    var window = 32
    if let text = parameters.options["window"] {
      window = try parameters.number(text, "window", in: 1...StageParameters.largestCount)
    }
    self.init(
      try Self.size(parameters, window: window), window: window, pooling: try Self.pooling(parameters),
      reduction: try parameters.choice("reduce", of: [.mean, .maximum], default: .mean),
      mode: try parameters.choice("mode", of: Mode.allCases, default: .once),
      layers: try parameters.choice("layers", of: LayerBudgets.allCases, default: .uniform),
      heads: try parameters.choice("heads", of: HeadBudgets.allCases, default: .uniform))
  }

  private static func size(_ parameters: StageParameters, window: Int) throws(KVCacheError) -> Size {
    if let text = parameters.options["ratio"] {
      if parameters.argument != nil { throw parameters.fail("takes a capacity or a ratio, not both") }
      guard let share = Double(text), (0...1).contains(share) else {
        throw parameters.fail("ratio must be from 0 to 1, but is '\(text)'")
      }
      return .dropping(share)
    }
    var count = 2048
    if parameters.argument != nil {
      count = try parameters.count("capacity", maximum: StageParameters.largestCount, example: 2048)
    }
    guard count > window else {
      throw parameters.fail("a capacity of \(count) leaves nothing to choose beside a window of \(window)")
    }
    return .tokens(count)
  }

  private static func pooling(_ parameters: StageParameters) throws(KVCacheError) -> Pooling {
    var kernel = standardPooling.kernel
    if let text = parameters.options["kernel"] {
      kernel = try parameters.number(text, "kernel", in: 1...largestKernel)
      guard kernel % 2 == 1 else { throw parameters.fail("kernel must be odd, but is \(kernel)") }
    }
    switch parameters.options["pool"] {
    case nil, "max": return .maximum(kernel: kernel)
    case "avg": return .average(kernel: kernel)
    case "none":
      if parameters.options["kernel"] != nil { throw parameters.fail("kernel is for pool=max and pool=avg") }
      return .none
    case .some(let text): throw parameters.fail("pool must be max, avg or none, but is '\(text)'")
    }
  }
}

extension StageParameters {
  /// An option with one of a few values.
  func choice<Choice: RawRepresentable<String> & Equatable>(
    _ name: String, of choices: [Choice], default standard: Choice
  ) throws(KVCacheError) -> Choice {
    guard let text = options[name] else { return standard }
    guard let choice = Choice(rawValue: String(text)), choices.contains(choice) else {
      throw fail("\(name) must be \(choices.map(\.rawValue).joined(separator: " or ")), but is '\(text)'")
    }
    return choice
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

  var state: [Int64] { [isFinished ? 1 : 0, Int64(grown)] + packed.map { Int64($0) } }

  mutating func restore(_ state: [Int64]) throws(KVCacheError) {
    let slots = 0..<Int64(Int32.max)
    guard state.count >= 2, state[0] == 0 || (state[0] == 1 && !isRepeated), slots.contains(state[1]),
      state.dropFirst(2).allSatisfy({ slots.contains($0) && $0 > 0 }), state.count == 2 || isRepeated || state[0] == 1
    else { throw .badSnapshot("impossible prompt state") }
    pack(state.dropFirst(2).map { Int($0) })
    (isFinished, grown) = (state[0] == 1, Int(state[1]))
  }
}
