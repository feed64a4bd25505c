import ArgumentParser
import Engine
import Evaluation
import KVCaches
import Kernels
import ModelJSON
import Models
import Simulation

struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Hold what is simulated to what this machine does.",
    discussion: """
      Has --batches sequences together answer requests of --requests mean tokens PROMPT/ANSWER, one after the other in each \
      place, for --steps steps, and simulates the same. Prompts are there at once on both sides. In each round curves are \
      measured just before the requests and just after them, so that a machine that changes its speed does so for both; the round in \
      the middle by its difference counts. With --curves the file's curves serve all rounds. --fixed has all requests of the same length.
      """)

  @OptionGroup var model: ModelOptions
  @OptionGroup var slots: SlotTypeOption
  @Option(name: .long, help: ArgumentHelp("A file of curves, measured before.", valueName: "file"))
  var curves: String?
  @Option(name: .long, help: "Sequences together; 1,3,6 without it.")
  var batches: NumberList<Int>?
  @Option(
    name: .long,
    help: ArgumentHelp("Mean lengths; may be given several times, 300/40 and 1200/40 without it.", valueName: "p/a"),
    transform: SimulationOptions.trace)
  var requests: [RequestTrace] = []
  @Flag(name: .long, help: "Requests all have the mean lengths.")
  var fixed = false
  @Option(name: .long, help: "Steps that are measured.")
  var steps = 100
  @Option(name: .long, help: "How often each is measured.")
  var rounds = 5
  @Option(name: .long, help: "The same seed gives the same requests.")
  var seed: UInt64 = 1
  @Flag(name: .long, help: "Print one JSON object per row, a line each.")
  var json = false

  func validate() throws {
    try batches?.check("--batches", in: 1...model.chunk)
    guard (1...1_000_000).contains(steps) else {
      throw ValidationError("--steps must be from 1 to 1000000, but is \(steps)")
    }
    guard (1...1000).contains(rounds) else {
      throw ValidationError("--rounds must be from 1 to 1000, but is \(rounds)")
    }
    for trace in requests where trace.prompt + trace.output > 1e6 {
      throw ValidationError("--requests must be of at most a million tokens, but one is \(trace.name)")
    }
  }

  func run() throws {
    let file = try curves.map { try CurvesFile(path: $0) }
    let loaded = try model.load(isQuiet: true)
    let standard = [(300.0, 40.0), (1200, 40)].map {
      RequestTrace(name: "\(Int($0.0))/\(Int($0.1))", prompt: $0.0, output: $0.1)
    }
    let traces = (requests.isEmpty ? standard : requests).map { trace in
      var trace = trace
      if fixed { trace.spread = .fixed }
      return trace
    }
    let batches = batches?.values ?? [1, 3, 6]
    let layers = file?.layers ?? loaded.engine.model.configuration.layers.count
    var found = [[Row]](repeating: [], count: traces.count * batches.count)
    for _ in 0..<rounds {
      for (index, (trace, batch)) in traces.flatMap({ trace in batches.map { (trace, $0) } }).enumerated() {
        found[index].append(try row(loaded.engine, file?.times, layers: layers, trace, batch: batch))
      }
    }
    let rows = found.map { rounds in
      rounds.sorted { $0.ratio < $1.ratio }[rounds.count / 2]
    }
    if json {
      for row in rows { StandardOutput.write(row.json.text + "\n") }
    } else {
      var table = TextTable(Row.columns)
      for row in rows { table.append(row.cells) }
      StandardOutput.write(table.text)
    }
  }

  /// - Parameter known: curves; nil measures them before the requests and after them
  private func row(
    _ engine: InferenceEngine, _ known: MeasuredTimes?, layers: Int, _ trace: RequestTrace, batch: Int
  ) throws -> Row {
    let options = StepTimesRun.Options(batch: batch, trace)
    let curves = known == nil ? try StepTimesRun(engine, slotType: slots.type, options: options) : nil
    let before = curves?.measure()
    let measured = try measure(engine, trace, batch: batch)
    let around = [before, curves?.measure()].compactMap(\.self)
    let times = try known ?? StepTimesRun.Times(meanOf: around).curves(options)
    let pipeline = Pipeline(times: times, layers: layers, capacity: Int.max / 4)
    var simulation = PipelineRun.Options()
    (simulation.warmUp, simulation.steps, simulation.mostBatch, simulation.seed) = (0, steps, batch, seed)
    let run = PipelineRun(pipeline, trace, options: simulation)
    let breakEven = pipeline.breakEven(batch: run.batch, tokens: run.tokensHeld, alpha: 0.2)
    // One side works at a time.
    let (step, share) = (Double(batch) / run.tokensPerSecond, run.modelUse / (run.modelUse + run.attentionUse))
    return Row(
      trace: trace, batch: batch, measured: measured, simulated: (step * share, step * (1 - share)),
      breakEven: breakEven)
  }

  /// The step of the machine, with the requests that the simulation has.
  private func measure(
    _ engine: InferenceEngine, _ trace: RequestTrace, batch: Int
  ) throws -> (model: Double, attention: Double) {
    var random = SplitMix64(seed: seed)
    // Beyond eight times the mean lie three of ten thousand.
    let most = Int(8 * (trace.prompt + trace.output))
    return try StepTimesRun.meanStep(
      engine, slotType: slots.type, sequences: batch, steps: steps, mostTokens: most
    ) {
      while true {
        let request = trace.request(using: &random)
        if request.tokens <= most { return (request.prompt, request.output) }
      }
    }
  }

  struct Row: SimulationRow {
    let trace: RequestTrace
    let batch: Int
    /// Seconds of a step.
    let measured: (model: Double, attention: Double)
    let simulated: (model: Double, attention: Double)
    /// The round trip between machines at which a token would take a fifth longer.
    let breakEven: Double

    private static func seconds(_ step: (model: Double, attention: Double)) -> Double { step.model + step.attention }
    /// Simulated over measured tokens a second.
    var ratio: Double { Self.seconds(measured) / Self.seconds(simulated) }
    private func tokensPerSecond(_ step: (model: Double, attention: Double)) -> Double {
      Double(batch) / Self.seconds(step)
    }

    static let columns: [TextTable.Column] =
      [.init("requests"), .init("lengths")]
      + [
        "together", "measured", "simulated", "difference", "model", "simulated", "attention", "simulated", "break-even",
      ].map { .init($0, .trailing) }

    var cells: [String] {
      [
        trace.name, trace.spread.rawValue, "\(batch)",
        HumanReadable.rate(tokensPerSecond: tokensPerSecond(measured)),
        HumanReadable.rate(tokensPerSecond: tokensPerSecond(simulated)), HumanReadable.change(ratio),
      ]
        + [measured.model, simulated.model, measured.attention, simulated.attention].map {
          HumanReadable.milliseconds($0)
        }
        + [HumanReadable.decimal(breakEven * 1e6, places: 0) + " us"]
    }

    var json: JSONValue {
      [
        "requests": JSONValue(trace.name), "lengths": JSONValue(trace.spread.rawValue), "sequences": JSONValue(batch),
        "measuredTokensPerSecond": JSONValue(tokensPerSecond(measured)),
        "simulatedTokensPerSecond": JSONValue(tokensPerSecond(simulated)), "ratio": JSONValue(ratio),
        "measuredModelSeconds": JSONValue(measured.model), "simulatedModelSeconds": JSONValue(simulated.model),
        "measuredAttentionSeconds": JSONValue(measured.attention),
        "simulatedAttentionSeconds": JSONValue(simulated.attention),
        "breakEvenRoundTripSeconds": JSONValue(breakEven),
      ]
    }
  }
}
