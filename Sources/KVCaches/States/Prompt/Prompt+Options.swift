/// How the stage is written.
extension Prompt {
  private static let sharedOptions = ["window", "sinks", "mode", "order", "ratio", "layers"]
  private static let voteOptions = ["kernel", "pool", "reduce", "heads"]
  private static let centerOptions = ["recompress"]
  static let options = ["choose"] + sharedOptions + voteOptions + centerOptions
  static let optionsOfCenters = sharedOptions + centerOptions
  private static let largestKernel = 255

  public var description: String {
    var text = "prompt"
    var options: [String] = []
    switch size {
    case .tokens(let count): text += ":\(count)"
    case .dropping(let share): options.append("ratio=\(share)")
    }
    if let name = choice.name { options.append("choose=\(name)") }
    if !scalesWindow, window != Self.standardWindow(size, choice) || ratioOfCenters {
      options.append("window=\(window)")
    }
    if sinks != Self.standardSinks(choice) { options.append("sinks=\(sinks)") }
    if let recompression { options.append("recompress=\(recompression)") }
    if pooling != .none, pooling.kernel != Self.standardPooling.kernel { options.append("kernel=\(pooling.kernel)") }
    if pooling.name != Self.standardPooling.name { options.append("pool=\(pooling.name)") }
    if reduction != .mean { options.append("reduce=\(reduction.rawValue)") }
    if mode != .once { options.append("mode=\(mode.rawValue)") }
    if order != .chunkMajor { options.append("order=\(order.rawValue)") }
    if layers != .uniform { options.append("layers=\(layers.rawValue)") }
    if heads != .uniform { options.append("heads=\(heads.rawValue)") }
    return options.isEmpty ? text : text + "[\(options.joined(separator: ","))]"
  }

  /// Whether a window that is given is never the one that would be taken without.
  private var ratioOfCenters: Bool {
    if case .centers = choice, case .dropping = size { true } else { false }
  }

  static let registration = StageRegistration(name: "prompt", form: "prompt:CAPACITY", options: options) {
    parameters throws(KVCacheError) in
    try Prompt(parameters)
  }

  /// - Parameter choice: the name of how tokens are chosen where no option says it
  init(_ parameters: StageParameters, choosing standard: Substring = "votes") throws(KVCacheError) {
    let choice = try Self.choice(parameters, standard: standard)
    let size = try Self.size(parameters)
    var given: Int?
    if let text = parameters.options["window"] {
      given = try parameters.number(text, "window", in: 1...StageParameters.largestCount)
    }
    let window = given ?? Self.standardWindow(size, choice)
    let sinks = try parameters.sinks(default: Self.standardSinks(choice))
    if case .tokens(let count) = size, count <= window + sinks {
      let beside = sinks == 0 ? "" : " and \(sinks) sinks"
      throw parameters.fail("a capacity of \(count) leaves nothing to choose beside a window of \(window)\(beside)")
    }
    let mode = try parameters.choice("mode", of: Mode.allCases, default: .once)
    if case .centers(let centers) = choice, centers.recompression != nil {
      guard case .tokens = size else { throw parameters.fail("recompress needs a capacity, not a ratio") }
      guard mode == .once else {
        throw parameters.fail("recompress chooses again at later prompts as well; leave out mode")
      }
    }
    self.init(
      size, choice: choice, window: given, sinks: sinks, pooling: try Self.pooling(parameters),
      reduction: try parameters.choice("reduce", of: [.mean, .maximum], default: .mean), mode: mode,
      order: try parameters.choice("order", of: Order.allCases, default: .chunkMajor),
      layers: try parameters.choice("layers", of: LayerBudgets.allCases, default: .uniform),
      heads: try parameters.choice("heads", of: HeadBudgets.allCases, default: .uniform))
  }

  private static func choice(_ parameters: StageParameters, standard: Substring) throws(KVCacheError) -> Choice {
    let name = parameters.options["choose"] ?? standard
    let choice: Choice
    switch name {
    case "votes": choice = .votes
    case "centers": choice = .centers(try Centers(parameters))
    case "random": choice = .random
    default: throw parameters.fail("choose must be votes, centers or random, but is '\(name)'")
    }
    for (options, owner) in [(voteOptions, "votes"), (centerOptions, "centers")] where name != owner {
      if let option = options.first(where: { parameters.options[$0] != nil }) {
        throw parameters.fail("\(option) is for choose=\(owner)")
      }
    }
    return choice
  }

  private static func size(_ parameters: StageParameters) throws(KVCacheError) -> Size {
    if let text = parameters.options["ratio"] {
      if parameters.argument != nil { throw parameters.fail("takes a capacity or a ratio, not both") }
      guard let share = Double(text), (0...1).contains(share) else {
        throw parameters.fail("ratio must be from 0 to 1, but is '\(text)'")
      }
      return .dropping(share)
    }
    guard parameters.argument != nil else { return .tokens(2048) }
    return .tokens(try parameters.count("capacity", maximum: StageParameters.largestCount, example: 2048))
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

extension Prompt.Pooling {
  fileprivate var name: String {
    switch self {
    case .none: "none"
    case .maximum: "max"
    case .average: "avg"
    }
  }
}

extension Prompt.Choice {
  /// How the choice is written, nil for the usual one.
  fileprivate var name: String? {
    switch self {
    case .votes: nil
    case .centers: "centers"
    case .random: "random"
    }
  }
}

extension Prompt.Centers {
  fileprivate init(_ parameters: StageParameters) throws(KVCacheError) {
    var recompression: Int?
    if let text = parameters.options["recompress"] {
      recompression = try parameters.number(text, "recompress", in: 1...StageParameters.largestCount)
    }
    self.init(recompression: recompression)
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
