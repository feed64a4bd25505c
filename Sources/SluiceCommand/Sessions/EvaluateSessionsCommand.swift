import ArgumentParser
import Engine
import Evaluation
import Foundation
import KVCaches
import ModelJSON
import Models
import SessionStore

struct EvaluateSessionsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sessions",
    abstract: "What kept sessions gain over reading conversations again (CachedAttention, arXiv 2403.19708).",
    discussion: """
      policies: a simulation of the paper's machine and trace, with the policies of the session store: which sessions are \
      there when their turn comes, over policies and sizes of the disk. Needs no model.
      loading: a stored session goes on while its layers come from a tier that is throttled: measured, and as the rule of \
      the paper's section 3 predicts. Uses a model.
      engine: a small trace of conversations on a model, with a session store and without.

      Traces are synthetic, in the shape of ShareGPT: 5.75 turns a conversation, 73 % with more than one, 30 % with more \
      than 4,096 tokens.
      """)

  enum Experiment: String, CaseIterable, ExpressibleByArgument { case policies, loading, engine }

  @Option(name: .long, help: "The experiment to run.")
  var experiment = Experiment.policies
  @OptionGroup var trace: TraceOptions
  @OptionGroup var loading: LoadingOptions
  @OptionGroup var model: ModelOptions
  @OptionGroup var cache: CacheOptions
  @Flag(name: .long, help: "Print one JSON object per row, a line each.")
  var json = false
  @Option(name: .long, help: ArgumentHelp("Draw policies or loading.", valueName: "file.svg"))
  var plot: String?

  func validate() throws {
    if plot != nil, experiment == .engine { throw ValidationError("--plot draws policies or loading, not engine") }
  }

  func run() throws {
    if let plot { try OutputFile.check(plot) }
    switch experiment {
    case .policies: try runPolicies()
    case .loading: try runLoading()
    case .engine: try runEngine()
    }
  }

  private func runPolicies() throws {
    let costs = try trace.servingCosts()
    let policies = SessionPolicies(
      trace.trace(conversations: 9000, rate: 1, scale: 1), costs, memoryBytes: trace.memory * 1e9,
      disks: trace.disk.map { $0 * 1e9 })
    let rows = policies.rows { row in
      if json { StandardOutput.write(row.json.text + "\n") }
    }
    if !json { StandardOutput.write(SessionTables.table(rows).text) }
    if let plot { try OutputFile.write(SessionPolicies.plot(rows, costs: costs).svg(), to: plot) }
  }

  private func runLoading() throws {
    let loaded = try model.load(isQuiet: json)
    var options = LoadingMeasurement.Options()
    (options.plan, options.slotType) = (try KVCache.Plan(cache.cache, resolver: .files), cache.slots.type)
    (options.tokens, options.new) = (loading.tokens, loading.newTokens)
    (options.ratio, options.rounds) = (loading.ratio, loading.rounds)
    let measurement = try LoadingMeasurement.measure(loaded, options)
    if json {
      for row in measurement.rows { StandardOutput.write(row.json.text + "\n") }
    } else {
      StandardOutput.write(SessionTables.text(measurement, options))
      StandardOutput.write(SessionTables.table(measurement).text)
    }
    if let plot {
      let name = URL(fileURLWithPath: loaded.path).deletingPathExtension().lastPathComponent
      let subtitle = "\(name), \(options.tokens) tokens kept, \(options.new) new"
      try OutputFile.write(measurement.plot(subtitle).svg(), to: plot)
    }
  }

  private func runEngine() throws {
    let loaded = try model.load(isQuiet: json)
    let trace = self.trace.trace(conversations: 16, rate: 1, scale: 0.125)
    let plan = try KVCache.Plan(cache.cache, resolver: .files)
    var progress = ProgressLine.standardError()
    var rows: [SessionTables.EngineRow] = []
    for variant in engineVariants(trace, loaded, plan) {
      let folder = FileManager.default.temporaryDirectory.appending(path: "sluice-replay-\(UUID().uuidString)").path
      do {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      } catch {
        throw CommandError("\(folder): the folder for the measurement cannot be made")
      }
      defer { try? FileManager.default.removeItem(atPath: folder) }
      var options = variant.options
      (options.plan, options.slotType) = (plan, cache.slots.type)
      let result = try SessionReplay.run(loaded, trace, options, path: folder + "/sessions.sluice") { turns in
        progress.update(StreamStatus(label: variant.name, tokens: turns, totalTokens: trace.turns))
      }
      rows.append(SessionTables.EngineRow(name: variant.name, tiers: options.tiers, result: result))
      if json { StandardOutput.write(rows[rows.count - 1].json.text + "\n") }
    }
    progress.clear()
    if !json { StandardOutput.write(SessionTables.table(rows).text) }
  }

  /// Everything read again, then policies over tiers that hold all sessions, or a part of them.
  private func engineVariants(
    _ trace: ConversationTrace, _ loaded: LanguageModel.Loaded, _ plan: KVCache.Plan
  ) -> [(name: String, options: SessionReplay.Options)] {
    let layers = loaded.engine.model.configuration.layers
    // Beside a session's slots there are its tokens.
    let all = trace.conversations.reduce(0) { sum, conversation in
      let tokens = conversation.turns.reduce(0) { $0 + $1.question + $1.answer }
      return sum + KVCache.bytes(plan: plan, layers: layers, slotType: cache.slots.type, tokens: tokens)
        + 64 * tokens
    }
    var variants: [(String, SessionReplay.Options)] = [("recompute", SessionReplay.Options())]
    for share in [2, 4] {
      for (name, lookAhead) in [("queue-aware", 8), ("lru", 0)] {
        var options = SessionReplay.Options()
        options.lookAhead = lookAhead
        options.tiers = (all / (4 * share), all / share)
        variants.append((name, options))
      }
    }
    var whole = SessionReplay.Options()
    whole.tiers = (all / 4, 2 * all)
    variants.append(("queue-aware", whole))
    return variants
  }
}

/// The conversations that users have.
struct TraceOptions: ParsableArguments {
  @Option(name: .long, help: "Conversations; 9000 for policies, 16 for engine without it.")
  var conversations: Int?
  @Option(name: .long, help: "Conversations that begin in a second.")
  var rate: Double?
  @Option(name: .long, help: "Seconds until a user goes on, on average.")
  var thinkTime = 60.0
  @Option(name: .long, help: "What all lengths are multiplied by; 1 for policies, 0.125 for engine without it.")
  var scale: Double?
  @Option(name: .long, help: "The seed of the trace.")
  var seed: UInt64 = 1
  @Option(name: .long, help: "The simulated model on the paper's machine: llama-13b, llama-65b, llama-70b, falcon-40b.")
  var machine = "llama-70b"
  @Option(name: .long, help: "Simulated memory for sessions, in GB.")
  var memory = 128.0
  @Option(name: .long, help: ArgumentHelp("A simulated disk for sessions, in GB; may be given several times."))
  var disk: [Double] = [250, 500, 1000, 2000, 10000]

  func validate() throws {
    if let conversations, !(1...1_000_000).contains(conversations) {
      throw ValidationError("--conversations must be from 1 to 1000000, but are \(conversations)")
    }
    for (name, value) in [("rate", rate ?? 1), ("scale", scale ?? 1), ("memory", memory)] + disk.map({ ("disk", $0) })
    where !(value > 0 && value.isFinite) {
      throw ValidationError("--\(name) must be more than 0, but is \(value)")
    }
    guard thinkTime >= 0, thinkTime.isFinite else {
      throw ValidationError("--think-time must be 0 or more, but is \(thinkTime)")
    }
  }

  func trace(conversations: Int, rate: Double, scale: Double) -> ConversationTrace {
    var options = ConversationTrace.Options()
    options.conversations = self.conversations ?? conversations
    (options.rate, options.scale) = (self.rate ?? rate, self.scale ?? scale)
    (options.thinkSeconds, options.seed) = (thinkTime, seed)
    return ConversationTrace(options)
  }

  func servingCosts() throws -> ServingCosts {
    guard let costs = ServingCosts.paper.first(where: { $0.name == machine }) else {
      let known = ServingCosts.paper.map(\.name).joined(separator: ", ")
      throw CommandError("'\(machine)' is none of the simulated models: \(known)")
    }
    return costs
  }
}

/// A session that comes from a slow tier.
struct LoadingOptions: ParsableArguments {
  @Option(name: .long, help: "Tokens of the session that is loaded.")
  var tokens = 512
  @Option(name: .long, help: "Tokens that are new.")
  var newTokens = 64
  @Option(name: .long, help: "Seconds of loading over seconds of computing, to which the tier is throttled.")
  var ratio = 1.575
  @Option(name: .long, help: "Measure so often; times are the middle ones.")
  var rounds = 5

  func validate() throws {
    for (name, value) in [("tokens", tokens), ("new-tokens", newTokens), ("rounds", rounds)]
    where !(1...100_000).contains(value) {
      throw ValidationError("--\(name) must be from 1 to 100000, but is \(value)")
    }
    guard ratio > 0, ratio <= 1000 else { throw ValidationError("--ratio must be more than 0, but is \(ratio)") }
  }
}
