import ArgumentParser
import Evaluation
import ModelJSON
import Simulation

struct CompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Attention on other devices beside the same model on devices of one kind.",
    discussion: """
      By default the pairs of equal cost of Lamina's paper: of the 33B one H100 and two H20 beside two H100, of the larger \
      models two and four beside four. Both sides always have more requests than fit; prompts are read elsewhere. Every layer \
      of every step is simulated.
      """)

  @OptionGroup var options: SimulationOptions
  @Option(name: .long, help: "The devices of the model.")
  var modelDevice = DeviceName(Device.known[0])
  @Option(name: .long, help: "The devices of keys and values.")
  var memoryDevice = DeviceName(Device.known[1])
  @Option(name: .long, help: "The devices that do everything.")
  var togetherDevice = DeviceName(Device.known[0])
  @Option(
    name: .long,
    help: ArgumentHelp(
      "How many are of the model and how many of keys and values; the paper's without it.", valueName: "a,b"))
  var devices: NumberList<Int>?
  @Option(
    name: .long,
    help: ArgumentHelp("How many do everything, once for each number; the paper's without it.", valueName: "n,…"))
  var against: NumberList<Int>?
  @Option(name: .long, help: "Batches that take turns, with a replica of the model less than there are batches.")
  var batches = 2

  func validate() throws {
    try devices?.check("--devices", in: 1...4096)
    if let devices, devices.values.count != 2 { throw ValidationError("--devices takes two numbers") }
    try against?.check("--against", in: 1...4096)
    guard (1...64).contains(batches) else { throw ValidationError("--batches must be from 1 to 64, but is \(batches)") }
  }

  func run() throws {
    if let plot = options.plot { try OutputFile.check(plot) }
    var rows: [Row] = []
    for size in options.sizes {
      let isSmall = size.name == "llama-33b"
      let (a, b) = devices.map { ($0.values[0], $0.values[1]) } ?? (isSmall ? (1, 2) : (2, 4))
      let apart = deployment(
        size, .apart(model: modelDevice.device, a, memory: memoryDevice.device, b, batches: batches))
      for trace in options.traces {
        let new = measure(apart, trace)
        for count in against?.values ?? [isSmall ? 2 : 4] {
          let together = deployment(size, .together(togetherDevice.device, count))
          rows.append(
            Row(
              size: size, trace: trace, apart: apart, together: together, new: new, old: measure(together, trace),
              alpha: options.alpha))
        }
      }
    }
    try options.write(rows, plot: Self.plot(rows))
  }

  private func deployment(_ size: ModelSize, _ placement: Deployment.Placement) -> Deployment {
    Deployment(size, placement, network: options.network, efficiency: options.efficiency)
  }

  private func measure(_ deployment: Deployment, _ trace: RequestTrace) -> PipelineRun {
    var run = PipelineRun.Options()
    run.seed = options.seed
    // Few long requests need many steps until their number is a mean.
    run.warmUp = Int(10 * min(trace.output, 10_000))
    run.steps = 4 * run.warmUp
    return PipelineRun(deployment.pipeline, trace, options: run)
  }

  struct Row: SimulationRow {
    let size: ModelSize
    let trace: RequestTrace
    let apart: Deployment
    let together: Deployment
    let new: PipelineRun
    let old: PipelineRun
    let alpha: Double

    var throughput: Double { new.tokensPerSecond / old.tokensPerSecond }
    var perDollar: Double { throughput * together.dollarsPerHour / apart.dollarsPerHour }
    var breakEven: Double {
      let n = Double(apart.batches)
      return apart.pipeline.breakEven(batch: new.batch / n, tokens: new.tokensHeld / n, alpha: alpha)
    }

    static let columns: [TextTable.Column] =
      [.init("model"), .init("trace"), .init("apart"), .init("together")]
      + [
        "batch", "batch", "ratio", "a token", "a token", "tokens/s", "tokens/s", "gain", "per dollar", "model",
        "attention",
        "break-even",
      ].map { .init($0, .trailing) }

    var cells: [String] {
      [
        size.name, trace.name, apart.text, together.text, HumanReadable.decimal(new.batch, places: 1),
        HumanReadable.decimal(old.batch, places: 1), HumanReadable.decimal(new.batch / old.batch, places: 2),
        HumanReadable.milliseconds(new.tokenSeconds), HumanReadable.milliseconds(old.tokenSeconds),
        HumanReadable.decimal(new.tokensPerSecond, places: 0), HumanReadable.decimal(old.tokensPerSecond, places: 0),
        HumanReadable.change(throughput), HumanReadable.decimal(perDollar, places: 2),
        HumanReadable.decimal(new.modelUse * 100, places: 0) + " %",
        HumanReadable.decimal(new.attentionUse * 100, places: 0) + " %",
        HumanReadable.decimal(breakEven * 1e6, places: 0) + " us",
      ]
    }

    var json: JSONValue {
      [
        "model": JSONValue(size.name), "trace": JSONValue(trace.name), "apart": JSONValue(apart.text),
        "together": JSONValue(together.text), "apartDollarsPerHour": JSONValue(apart.dollarsPerHour),
        "togetherDollarsPerHour": JSONValue(together.dollarsPerHour), "apartBatch": JSONValue(new.batch),
        "togetherBatch": JSONValue(old.batch), "apartTokenSeconds": JSONValue(new.tokenSeconds),
        "togetherTokenSeconds": JSONValue(old.tokenSeconds), "apartTokensPerSecond": JSONValue(new.tokensPerSecond),
        "togetherTokensPerSecond": JSONValue(old.tokensPerSecond), "throughputRatio": JSONValue(throughput),
        "perDollarRatio": JSONValue(perDollar), "modelUse": JSONValue(new.modelUse),
        "attentionUse": JSONValue(new.attentionUse), "breakEvenRoundTripSeconds": JSONValue(breakEven),
      ]
    }
  }

  /// Tokens per dollar over those together, a line a model, by the length of a request.
  static func plot(_ rows: [Row]) -> Plot {
    let names = Array(Set(rows.map { "\($0.size.name), \($0.together.text)" })).sorted()
    let lines = names.map { name in
      let points = rows.filter { "\($0.size.name), \($0.together.text)" == name }
        .map { Plot.Point($0.trace.meanContext, $0.perDollar) }
      return Plot.Line(name, points.sorted { $0.x < $1.x })
    }
    return Plot(
      title: "Tokens per dollar with attention apart, over those together",
      xAxis: .init("tokens that a sequence holds", scale: .logarithmic, unit: .count),
      panels: [.init(axis: .init("ratio", includesZero: true), lines: lines)])
  }
}
