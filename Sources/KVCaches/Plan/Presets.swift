/// A named cache: the published systems, written as the stages they are.
struct Preset: Sendable {
  let name: String
  /// The written form, for messages and help.
  let form: String
  let summary: String
  let options: [String]
  let stages: @Sendable (StageParameters) throws(KVCacheError) -> [any StageSpecification]
  /// Which heads follow other stages; nil where all follow the same.
  var division: (@Sendable (StageParameters, PlanResolver) throws(KVCacheError) -> HeadDivision)?

  static let all: [Preset] = [
    full, streamingLLM, cascading, h2o, tova, snapKV, quest, duoAttention, kCenter, subGen, uniform, sketch,
    infini,
  ]

  static func named(_ name: Substring) -> Preset? { all.first { $0.name == name } }

  private static let full = Preset(
    name: "full", form: "full", summary: "every token, memory grows with the stream", options: []
  ) { parameters throws(KVCacheError) in
    try parameters.none()
    return [Tokens()]
  }

  private static let streamingLLM = Preset(
    name: "streaming-llm", form: "streaming-llm:SINKS+WINDOW",
    summary: "attention sinks and a rolling window (arXiv 2309.17453)", options: Sinks.options
  ) { parameters throws(KVCacheError) in
    try sinksAndWindow(parameters, budget: 1024, sinks: parameters.trained.usualSinks)
  }

  private static func sinksAndWindow(
    _ parameters: StageParameters, budget: Int, sinks standard: Int
  ) throws(KVCacheError) -> [any StageSpecification] {
    let standard = "\(standard)+\(budget - standard)"
    let parts = (parameters.argument ?? standard[...]).split(separator: "+", omittingEmptySubsequences: false)
    guard parts.count == 2 else {
      let name = parameters.text.prefix { !":[".contains($0) }
      throw parameters.fail("needs SINKS+WINDOW, for example '\(name):\(standard)'")
    }
    let sinks = try parameters.number(parts[0], "sinks", in: 0...StageParameters.largestCount)
    let window = try parameters.number(parts[1], "window", in: 1...StageParameters.largestCount)
    let distance = try Sinks.distance(parameters)
    return sinks == 0 ? [Window(window)] : [Sinks(sinks, distance: distance), Window(window)]
  }

  private static let cascading = Preset(
    name: "cascading", form: "cascading:BUDGET/LEVELS",
    summary: "sinks and windows that keep ever fewer of ever older tokens (arXiv 2406.17808)",
    options: Window.options + ["sinks", "schedule"]
  ) { parameters throws(KVCacheError) in
    let parts = (parameters.argument ?? "1024/4").split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2 else { throw parameters.fail("needs BUDGET/LEVELS, for example 'cascading:1024/4'") }
    let budget = try parameters.number(parts[0], "budget", in: 1...StageParameters.largestCount)
    let levels = try parameters.number(parts[1], "levels", in: 1...64)
    let sinks = try parameters.sinks()
    let (size, rest) = max(budget - sinks, 0).quotientAndRemainder(dividingBy: levels)
    guard size >= 1 else {
      throw parameters.fail("a budget of \(budget) leaves no slot for \(levels) levels beside \(sinks) sinks")
    }
    let schedule = try CascadeSchedule(parameters)
    let scoring = try Window.cascadeScoring(parameters)
    let isEager = try parameters.flag("eager", default: true)
    var stages: [any StageSpecification] = sinks == 0 ? [] : [Sinks(sinks)]
    for level in 0..<levels {
      // Published runs divide without a remainder; here the newest tokens get it, so that a budget is a budget.
      let size = level == 0 ? size + rest : size
      stages.append(
        Window(size, every: schedule.period(level: level, of: levels), scoring: scoring, fillsEagerly: isEager))
    }
    return stages
  }

  private static let infini = Preset(
    name: "infini", form: "infini:SEGMENT",
    summary: "one segment, and all before it in a memory that the model was trained to read (arXiv 2404.07143)",
    options: Compressive.options
  ) { parameters throws(KVCacheError) in
    let trained = parameters.trained.segments
    let size =
      if parameters.argument == nil, let trained {
        trained.size
      } else {
        try parameters.count("segment", maximum: StageParameters.largestCount, example: 2048)
      }
    return [Segment(size), try Compressive(parameters, default: trained?.memory ?? Compressive())]
  }

  private static let h2o = Preset(
    name: "h2o", form: "h2o:BUDGET",
    summary: "half recent tokens, half those with the most attention so far (arXiv 2306.14048)",
    options: Scored.options + ["sinks", "window"]
  ) { parameters throws(KVCacheError) in
    try scored(parameters, decay: 1) { room in (room + 1) / 2 }
  }

  private static let tova = Preset(
    name: "tova", form: "tova:BUDGET",
    summary: "the tokens with the most attention from the last query (arXiv 2401.06104)",
    options: Scored.options + ["sinks", "window"]
  ) { parameters throws(KVCacheError) in
    try scored(parameters, decay: 0) { _ in 1 }
  }

  private static let snapKV = Preset(
    name: "snapkv", form: "snapkv:CAPACITY",
    summary: "of a prompt what its last tokens attend to, and all of the answer (arXiv 2404.14469)",
    options: Prompt.options
  ) { parameters throws(KVCacheError) in
    [try Prompt(parameters)]
  }

  private static let kCenter = Preset(
    name: "k-center", form: "k-center:CAPACITY",
    summary: "of a prompt the tokens whose keys cover all others', and all of the answer (arXiv 2402.06082)",
    options: Prompt.optionsOfCenters
  ) { parameters throws(KVCacheError) in
    [try Prompt(parameters, choosing: "centers")]
  }

  private static let quest = Preset(
    name: "quest", form: "quest:BUDGET",
    summary: "every token, of which decoding reads the pages that could matter most (arXiv 2406.10774)",
    options: Pages.options
  ) { parameters throws(KVCacheError) in [try Pages(parameters)] }

  private static let duoAttention = Preset(
    name: "duo-attention", form: "duo-attention:SINKS+WINDOW",
    summary: "every token for the heads that a file names, sinks and a window for all others (arXiv 2410.10819)",
    options: ["heads", "sparsity"] + Sinks.options,
    stages: { _ throws(KVCacheError) in [Tokens()] },
    division: { parameters, resolver throws(KVCacheError) in
      guard let name = parameters.options["heads"] else {
        throw parameters.fail("needs the file that says which heads keep everything, as in [heads=FILE]")
      }
      var sparsity = 0.5
      if let text = parameters.options["sparsity"] {
        guard let share = Double(text), (0...1).contains(share) else {
          throw parameters.fail("sparsity must be from 0 to 1, but is '\(text)'")
        }
        sparsity = share
      }
      let others = try sinksAndWindow(parameters, budget: 256, sinks: parameters.trained.sinks ?? 16)
      return HeadDivision(
        description: parameters.text, mask: try resolver.heads(String(name)), share: sparsity, others: others)
    })

  private static let subGen = Preset(
    name: "subgen", form: "subgen:BUDGET",
    summary: "a window, and older tokens in clusters of near keys (arXiv 2402.06082)",
    options: Clusters.options.filter { $0 != "kind" } + ["mode", "sinks", "window"]
  ) { parameters throws(KVCacheError) in
    try melting(parameters) { parameters, count throws(KVCacheError) in
      // Without forgetting, the weight of all that ever came outgrows what models have learnt to divide attention over.
      try Clusters(parameters, count: count, kind: "mode", defaultHalfLife: count)
    }
  }

  private static let uniform = Preset(
    name: "uniform", form: "uniform:BUDGET", summary: "a window, and a uniform sample of older tokens",
    options: Uniform.options + ["sinks", "window"]
  ) { parameters throws(KVCacheError) in
    try melting(parameters) { parameters, count throws(KVCacheError) in
      try Uniform(parameters, count: count)
    }
  }

  /// Sinks, a window of a quarter of the budget and at least 32 tokens, and a stage for the rest of the budget in which
  /// tokens melt together.
  private static func melting(
    _ parameters: StageParameters,
    _ stage: (StageParameters, Int) throws(KVCacheError) -> any StageSpecification
  ) throws(KVCacheError) -> [any StageSpecification] {
    let budget = try parameters.count("budget", maximum: StageParameters.largestCount, example: 1024)
    let sinks = try parameters.sinks()
    var window = max(32, budget / 4)
    if let text = parameters.options["window"] {
      window = try parameters.number(text, "window", in: 1...StageParameters.largestCount)
    }
    guard budget > sinks + window else {
      throw parameters.fail("a budget of \(budget) leaves no slot beside \(sinks) sinks and a window of \(window)")
    }
    let last = try stage(parameters, budget - sinks - window)
    return sinks == 0 ? [Window(window), last] : [Sinks(sinks), Window(window), last]
  }

  private static let sketch = Preset(
    name: "sketch", form: "sketch:BUDGET",
    summary: "recent tokens, those with the most attention, and a polynomial of all others (arXiv 2311.14652)",
    options: Scored.options.filter { $0 != "prompt" } + Moments.options + ["sinks", "window", "rank"]
  ) { parameters throws(KVCacheError) in
    let budget = try parameters.count("budget", maximum: StageParameters.largestCount, example: 1024)
    let sinks = try parameters.sinks()
    var rank = 16
    if let text = parameters.options["rank"] {
      rank = try parameters.number(text, "rank", in: 1...StageParameters.largestCount)
    }
    let moments = try Moments(parameters, rank: rank)
    // Of heads with 64 dimensions; of others it differs by a few tokens. Slots come in panels of 16.
    let melted = moments.tokenEquivalents(headDim: 64)
    let room = (budget - melted) / 16 * 16 - sinks
    var (window, leastRoom) = (max(room, 0) * 3 / 4, 4 * leastHeavy - 3)
    if let text = parameters.options["window"] {
      window = try parameters.number(text, "window", in: 1...StageParameters.largestCount)
      leastRoom = window + leastHeavy
    }
    guard room >= leastRoom else {
      throw parameters.fail(
        "a budget of \(budget) is too small: moments take the memory of \(melted) tokens, so the least is "
          + "\((sinks + leastRoom + 15) / 16 * 16 + melted)")
    }
    let rule = try parameters.scoreRule(
      decay: Scored.standardScoring.decay, reduction: Scored.standardScoring.reduction)
    let stages: [any StageSpecification] = [
      Window(window), Scored(room - window, scoring: rule, distance: moments.distance), moments,
    ]
    return sinks == 0 ? stages : [Sinks(sinks)] + stages
  }

  /// Tokens with the most attention that a sketch must have room for.
  private static let leastHeavy = 16

  /// Sinks, a window of recent tokens, and a scored stage for the rest of the budget.
  private static func scored(
    _ parameters: StageParameters, decay: Double, window standard: (Int) -> Int
  ) throws(KVCacheError) -> [any StageSpecification] {
    let budget = try parameters.count("budget", maximum: StageParameters.largestCount, example: 1024)
    let sinks = try parameters.sinks()
    guard budget >= sinks + 2 else {
      throw parameters.fail("a budget of \(budget) leaves no room for a window and scored tokens beside \(sinks) sinks")
    }
    let room = budget - sinks
    var window = min(standard(room), room - 1)
    if let text = parameters.options["window"] { window = try parameters.number(text, "window", in: 1...room - 1) }
    let rule = try parameters.scoreRule(decay: decay, reduction: Scored.standardScoring.reduction)
    let distance = try parameters.distance(default: .original)
    let stages: [any StageSpecification] = [
      Window(window),
      Scored(
        room - window, scoring: rule, distance: distance, prompts: try Scored.prompts(parameters, distance: distance)),
    ]
    return sinks == 0 ? stages : [Sinks(sinks)] + stages
  }
}

extension StageParameters {
  /// The option `sinks`; without it those that the model declares, or the usual ones.
  func sinks(default standard: Int = 4) throws(KVCacheError) -> Int {
    guard let text = options["sinks"] else { return trained.sinks ?? standard }
    return try number(text, "sinks", in: 0...Self.largestCount)
  }
}
