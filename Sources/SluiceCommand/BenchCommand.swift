import ArgumentParser
import Engine
import Evaluation
import Foundation
import KVCaches
import Kernels
import ModelJSON

struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure how fast a model reads and writes.",
    discussion: """
      Reads --prefill tokens at --depth, then writes --decode tokens one at a time from the same depth. Beside each stands
      the share of what this machine can do, measured in the same minute: reading is held to the multiplications that all
      threads make in registers (two operations for each weight of the layers; attention and the output matrix are not
      counted), writing to the bandwidth of memory (weights, and the keys and values held).

      --machine measures those limits alone, --kernels single kernels beside them, --attention one attention layer over a
      prompt of --prefill tokens in the cache, against exact attention to all of it.

      --recompute compares two ways to write a token after the last --windows tokens: to compute the window anew for it, in
      chunks of --chunk, and to stream it into a cache of four sinks and a window that together hold as many.

      --speculate has the model write --decode tokens of a summary with quotes, of an edited program and of a story, each with
      and without guesses at the next tokens in turn, --rounds times, and says what the guesses give.
      """)

  @OptionGroup var model: ModelOptions
  @OptionGroup var cache: CacheOptions
  @Option(name: .long, help: "Tokens of the prompt; 512 without it.")
  var prefill: Int?
  @Option(name: .long, help: "Tokens that are written; 64 without it.")
  var decode: Int?
  @Option(name: .long, help: "Tokens that the cache has seen before; 0 without it, 16,384 slots for --kernels.")
  var depth: Int?
  @Flag(
    name: .long,
    help: """
      Fill the cache to --depth with random keys and values instead of computing them: it takes seconds, and the time of \
      a step does not depend on the values.
      """)
  var fill = false
  @Option(name: .long, help: "Also write with so many sequences at once, each with a cache of its own.")
  var sequences: Int?
  @Option(name: .long, help: "Measure so often and take the median (the best of 5 for --kernels).")
  var rounds: Int?
  @Flag(name: .long, help: "Measure the limits of this machine: memory bandwidth and multiplications.")
  var machine = false
  @Flag(name: .long, help: "Measure single kernels: products, attention, norms.")
  var kernels = false
  @Flag(name: .long, help: "Measure one attention layer over a long prompt, 1,000,000 tokens without --prefill.")
  var attention = false
  @Flag(name: .long, help: "Measure a token of a stream beside computing its window anew for it.")
  var recompute = false
  @Flag(name: .long, help: "Measure what guesses at the next tokens give, on three texts.")
  var speculate = false
  @Option(name: .long, help: "Tokens of the windows of --recompute; 256,512,1024,2048,4096 without it.")
  var windows: NumberList<Int>?
  @Option(
    name: .long,
    help: ArgumentHelp(
      "The heads of --attention: query heads, KV heads and dimensions; the default model's 9/3x64 without it.",
      valueName: "Q/KVxDIM"))
  var heads: AttentionHeads?
  @Option(name: .long, help: "Rows and columns of the matrices of --kernels, a multiple of 256; 2048 without it.")
  var width: Int?
  @Flag(name: .long, help: "Print JSON: one object, or one a line for --kernels.")
  var json = false

  func validate() throws {
    let least = [("--prefill", prefill), ("--decode", decode), ("--sequences", sequences), ("--rounds", rounds)]
    for case (let name, let value?) in least {
      guard value >= 1 else { throw ValidationError("\(name) must be at least 1, but is \(value)") }
      // Sums of such counts are far from overflowing.
      guard value <= 1 << 40 else { throw ValidationError("\(name) must be at most \(1 << 40), but is \(value)") }
    }
    let depths = kernels ? 1...1 << 20 : 0...1 << 40
    if let depth, !depths.contains(depth) {
      throw ValidationError("--depth must be from \(depths.lowerBound) to \(depths.upperBound), but is \(depth)")
    }
    if let sequences, sequences > model.chunk {
      throw ValidationError("--sequences must be at most --chunk, which is \(model.chunk), but is \(sequences)")
    }
    if let width, !(256...16384).contains(width) || width % 256 != 0 {
      throw ValidationError("--width must be a multiple of 256 up to 16384, but is \(width)")
    }
    try windows?.check("--windows", in: RecomputationRun.sinks + 1...1 << 20)
    if [machine, kernels, attention, recompute, speculate].count(where: { $0 }) > 1 {
      throw ValidationError("give one of --machine, --kernels, --attention, --recompute and --speculate")
    }
    if fill && (depth ?? 0) == 0 { throw ValidationError("--fill fills a cache to --depth, which is missing") }
    try refuseForeignOptions()
  }

  /// Options that the kind of measurement has no use for are errors, not silence.
  private func refuseForeignOptions() throws {
    let ofLoading = [("-m", model.model != nil), ("--exact", model.exact), ("--lora", !model.adapters.lora.isEmpty)]
    let ofDecoding = [("--decode", decode != nil)]
    let ofModels = [("--sequences", sequences != nil), ("--fill", fill)]
    let ofChunks = [("--chunk", model.chunk != 512), ("--cache-type", cache.slots.type != .float16)]
    let ofCaches = [("--cache", cache.cache != nil)]
    let ofPrompts = [("--prefill", prefill != nil)]
    let ofDepth = [("--depth", depth != nil)]
    let ofRounds = [("--rounds", rounds != nil)]
    let ofKernels = [("--width", width != nil)]
    let ofAttention = [("--heads", heads != nil)]
    let ofRecomputation = [("--windows", windows != nil)]
    let (kind, foreign): (String, [[(String, Bool)]]) =
      if machine {
        (
          "--machine",
          [
            ofLoading, ofDecoding, ofModels, ofChunks, ofCaches, ofPrompts, ofDepth, ofRounds, ofKernels, ofAttention,
            ofRecomputation,
          ]
        )
      } else if kernels {
        ("--kernels", [ofLoading, ofDecoding, ofModels, ofChunks, ofCaches, ofAttention, ofRecomputation])
      } else if attention {
        ("--attention", [ofLoading, ofDecoding, ofModels, ofDepth, ofRounds, ofKernels, ofRecomputation])
      } else if recompute {
        ("--recompute", [ofModels, ofCaches, ofPrompts, ofDepth, ofKernels, ofAttention])
      } else if speculate {
        ("--speculate", [ofModels, ofPrompts, ofDepth, ofKernels, ofAttention, ofRecomputation])
      } else {
        ("a model's measurement", [ofKernels, ofAttention, ofRecomputation])
      }
    for (name, isGiven) in foreign.joined() where isGiven { throw ValidationError("\(name) means nothing to \(kind)") }
  }

  func run() throws {
    if machine || kernels {
      let instructions = try InstructionSet.select()
      let team = try WorkerTeam(threads: model.threads)
      let limits = MachineLimits.measure(team, kernels: instructions)
      if machine { write(limits) } else { measureKernels(team, instructions, limits) }
    } else if attention {
      try measureAttention()
    } else if recompute {
      try measureRecomputation()
    } else if speculate {
      try measureSpeculation()
    } else {
      try measureModel()
    }
  }

  private func write(_ limits: MachineLimits) {
    let report = BenchReport()
    StandardOutput.write(json ? report.json(limits).text + "\n" : report.text(limits))
  }

  private func measureKernels(_ team: WorkerTeam, _ instructions: InstructionSet, _ limits: MachineLimits) {
    var options = KernelRun.Options()
    if let width { options.width = width }
    if let prefill { options.tokens = Set([1, 8, prefill]).sorted() }
    if let depth { options.slots = depth }
    if let rounds { options.rounds = rounds }
    let run = KernelRun(team: team, kernels: instructions, limits: limits, options: options)
    let report = BenchReport()
    var rows: [KernelRun.Row] = []
    run.measure { row in
      rows.append(row)
      if json { StandardOutput.write(report.json(row).text + "\n") }
    }
    if !json { StandardOutput.write(report.text(limits) + "\n" + report.table(rows).text) }
  }

  private func measureAttention() throws {
    let plan = try KVCache.Plan(cache.specification(), resolver: .files)
    let heads = heads ?? AttentionHeads(query: 9, keyValue: 3, dim: 64)
    var options = AttentionLayerRun.Options()
    options.tokens = prefill ?? options.tokens
    options.chunk = model.chunk
    let run = AttentionLayerRun(
      shape: heads.shape, slotType: cache.slots.type, options: options,
      team: try WorkerTeam(threads: model.threads), kernels: try InstructionSet.select())
    let result = try run.measure(plan)
    let report = BenchReport()
    StandardOutput.write(
      json
        ? report.json(result, cache: cache.specification(), heads: heads, options: options).text + "\n"
        : report.text(result, cache: cache.specification(), heads: heads, options: options))
  }

  private func measureRecomputation() throws {
    let loaded = try model.load(isQuiet: json)
    var options = RecomputationRun.Options()
    options.windows = windows?.values ?? options.windows
    options.decode = decode ?? options.decode
    options.rounds = rounds ?? options.rounds
    let report = BenchReport()
    var rows: [RecomputationRun.Row] = []
    try RecomputationRun.measure(loaded.engine, slotType: cache.slots.type, options: options) { row in
      rows.append(row)
      if json { StandardOutput.write(report.json(row).text + "\n") }
    }
    if !json { StandardOutput.write(report.table(rows).text) }
  }

  private func measureSpeculation() throws {
    if let cache = cache.cache { try KVCache.Plan.check(cache) }
    let loaded = try model.load(isQuiet: json)
    let specification = cache.specification(for: loaded.trainedMemory)
    let plan = try loaded.plan(specification)
    var options = SpeculationRun.Options()
    options.decode = decode ?? options.decode
    options.rounds = rounds ?? options.rounds
    let report = BenchReport()
    var rows: [SpeculationRun.Row] = []
    try SpeculationRun.measure(loaded, plan: plan, slotType: cache.slots.type, options: options) { row in
      rows.append(row)
      if json { StandardOutput.write(report.json(row).text + "\n") }
    }
    if !json { StandardOutput.write(report.table(rows).text) }
  }

  private func measureModel() throws {
    if let cache = cache.cache { try KVCache.Plan.check(cache) }
    let loaded = try model.load(isQuiet: json)
    let specification = cache.specification(for: loaded.trainedMemory)
    let plan = try loaded.plan(specification)
    var options = SpeedRun.Options()
    options.prefill = prefill ?? options.prefill
    options.decode = decode ?? options.decode
    options.depth = depth ?? options.depth
    options.fillsDepth = fill
    options.sequences = sequences ?? options.sequences
    options.rounds = rounds ?? options.rounds
    let run = try SpeedRun.measure(loaded.engine, plan: plan, slotType: cache.slots.type, options: options)
    let report = BenchReport()
    if json {
      StandardOutput.write(
        report.json(run, model: loaded.path, depth: options.depth, cache: specification).text + "\n")
      return
    }
    StandardOutput.write(
      """
      \(FilePath.name(of: loaded.path)), \(loaded.engine.team.threads) threads \
      (\(loaded.engine.kernels.name)), depth \(HumanReadable.count(options.depth)), cache \(specification)
      \(report.text(run))
      """)
  }
}
