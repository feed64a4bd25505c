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
      place, for --steps steps, and simulates the same from curves that 'calibrate' measured. Prompts are there at once on both \
      sides. --fixed has all requests of the same length.
      """)

  @OptionGroup var model: ModelOptions
  @OptionGroup var slots: SlotTypeOption
  @Option(name: .long, help: ArgumentHelp("The file of curves.", valueName: "file"))
  var curves: String
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
  @Option(name: .long, help: "How often each is measured; the fastest counts, since other programs only add time.")
  var rounds = 3
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
    let file = try CurvesFile(path: curves)
    let loaded = try model.load(isQuiet: true)
    let standard = [(300.0, 40.0), (1200, 40)].map {
      RequestTrace(name: "\(Int($0.0))/\(Int($0.1))", prompt: $0.0, output: $0.1)
    }
    var rows: [Row] = []
    for var trace in requests.isEmpty ? standard : requests {
      if fixed { trace.spread = .fixed }
      for batch in batches?.values ?? [1, 3, 6] {
        let rates = try (0..<rounds).map { _ in try measure(loaded.engine, trace, batch: batch) }
        let measured = rates.max() ?? 0
        let pipeline = Pipeline(times: file.times, layers: file.layers, capacity: Int.max / 4)
        var options = PipelineRun.Options()
        (options.warmUp, options.steps, options.mostBatch, options.seed) = (0, steps, batch, seed)
        let run = PipelineRun(pipeline, trace, options: options)
        let breakEven = pipeline.breakEven(batch: run.batch, tokens: run.tokensHeld, alpha: 0.2)
        rows.append(
          Row(
            trace: trace, batch: batch, measured: measured, simulated: run.tokensPerSecond, breakEven: breakEven))
      }
    }
    if json {
      for row in rows { StandardOutput.write(row.json.text + "\n") }
    } else {
      var table = TextTable(Row.columns)
      for row in rows { table.append(row.cells) }
      StandardOutput.write(table.text)
    }
  }

  /// Tokens a second of the machine, with the requests that the simulation has.
  private func measure(_ engine: InferenceEngine, _ trace: RequestTrace, batch: Int) throws -> Double {
    var random = SplitMix64(seed: seed)
    // Beyond eight times the mean lie three of ten thousand.
    let most = Int(8 * (trace.prompt + trace.output))
    return try StepTimesRun.tokensPerSecond(
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
    let measured: Double
    let simulated: Double
    /// The round trip between machines at which a token would take a fifth longer.
    let breakEven: Double

    static let columns: [TextTable.Column] =
      [.init("requests"), .init("lengths")]
      + ["together", "measured", "simulated", "difference", "break-even"].map { .init($0, .trailing) }

    var cells: [String] {
      [
        trace.name, trace.spread.rawValue, "\(batch)", HumanReadable.rate(tokensPerSecond: measured),
        HumanReadable.rate(tokensPerSecond: simulated), HumanReadable.change(simulated / measured),
        HumanReadable.decimal(breakEven * 1e6, places: 0) + " us",
      ]
    }

    var json: JSONValue {
      [
        "requests": JSONValue(trace.name), "lengths": JSONValue(trace.spread.rawValue), "sequences": JSONValue(batch),
        "measuredTokensPerSecond": JSONValue(measured), "simulatedTokensPerSecond": JSONValue(simulated),
        "ratio": JSONValue(simulated / measured), "breakEvenRoundTripSeconds": JSONValue(breakEven),
      ]
    }
  }
}
