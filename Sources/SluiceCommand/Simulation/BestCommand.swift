import ArgumentParser
import Evaluation
import ModelJSON
import Simulation

struct BestCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "best",
    abstract: "Which devices give most tokens for a dollar.",
    discussion: """
      Tries all numbers of devices up to --most of each kind and all numbers of batches up to --batches, by means, and keeps \
      what gives most tokens for a dollar while no token takes longer than --longest milliseconds.
      """)

  @OptionGroup var options: SimulationOptions
  @Option(
    name: .long,
    help: "A device of models, and one that does everything; may be given several times, h100 and v6e without it.")
  var modelDevice: [DeviceName] = []
  @Option(name: .long, help: "A device of keys and values; may be given several times, all without it.")
  var memoryDevice: [DeviceName] = []
  @Option(name: .long, help: "The most devices of a kind.")
  var most = 8
  @Option(name: .long, help: "The most batches that take turns.")
  var batches = 4
  @Option(name: .long, help: "The longest that a token may take, in milliseconds.")
  var longest = 200.0

  func validate() throws {
    guard (1...64).contains(most) else { throw ValidationError("--most must be from 1 to 64, but is \(most)") }
    guard (1...16).contains(batches) else { throw ValidationError("--batches must be from 1 to 16, but is \(batches)") }
    guard (0.001...1e6).contains(longest) else {
      throw ValidationError("--longest must be from 0.001 to 1000000, but is \(longest)")
    }
  }

  func run() throws {
    if let plot = options.plot { try OutputFile.check(plot) }
    let models = modelDevice.isEmpty ? ["h100", "v6e"].compactMap { Device.named($0) } : modelDevice.map(\.device)
    let memories = memoryDevice.isEmpty ? Device.known : memoryDevice.map(\.device)
    var rows: [Row] = []
    for size in options.sizes {
      for trace in options.traces {
        var search = DeploymentSearch(size, trace)
        (search.network, search.efficiency) = (options.network, options.efficiency)
        (search.mostDevices, search.mostBatches) = (most, batches)
        search.mostTokenSeconds = longest / 1000
        let together = models.compactMap { search.together($0) }.max { $0.tokensPerDollar < $1.tokensPerDollar }
        for memory in memories {
          let found = models.compactMap { search.apart(model: $0, memory: memory) }
          guard let apart = found.max(by: { $0.tokensPerDollar < $1.tokensPerDollar }) else { continue }
          rows.append(Row(size: size, trace: trace, apart: apart, together: together, alpha: options.alpha))
        }
      }
    }
    try options.write(rows, plot: Self.plot(rows))
  }

  struct Row: SimulationRow {
    let size: ModelSize
    let trace: RequestTrace
    let apart: DeploymentSearch.Found
    let together: DeploymentSearch.Found?
    let alpha: Double

    var ratio: Double { together.map { apart.tokensPerDollar / $0.tokensPerDollar } ?? .infinity }
    var breakEven: Double {
      let batch = apart.forecast.batch / Double(apart.deployment.batches)
      return apart.deployment.pipeline.breakEven(batch: batch, tokens: batch * trace.meanContext, alpha: alpha)
    }
    var memory: String {
      if case .apart(_, _, let memory, _, _) = apart.deployment.placement { memory.name } else { "" }
    }

    static let columns: [TextTable.Column] =
      [.init("model"), .init("trace"), .init("apart")]
      + ["batch", "a token", "Mtokens/$", "break-even"].map { .init($0, .trailing) } + [.init("together")]
      + ["batch", "a token", "Mtokens/$", "ratio"].map { .init($0, .trailing) }

    var cells: [String] {
      [size.name, trace.name] + cells(apart) + [HumanReadable.decimal(breakEven * 1e6, places: 0) + " us"]
        + (together.map { cells($0) } ?? ["none", "", "", ""]) + [HumanReadable.decimal(ratio, places: 2)]
    }

    private func cells(_ found: DeploymentSearch.Found) -> [String] {
      [
        found.deployment.text, HumanReadable.decimal(found.forecast.batch, places: 0),
        HumanReadable.milliseconds(found.forecast.tokenSeconds),
        HumanReadable.decimal(found.tokensPerDollar / 1e6, places: 2),
      ]
    }

    var json: JSONValue {
      [
        "model": JSONValue(size.name), "trace": JSONValue(trace.name), "apart": json(apart),
        "together": together.map { json($0) } ?? .null,
        "perDollarRatio": together == nil ? .null : JSONValue(ratio), "breakEvenRoundTripSeconds": JSONValue(breakEven),
      ]
    }

    private func json(_ found: DeploymentSearch.Found) -> JSONValue {
      [
        "devices": JSONValue(found.deployment.text), "dollarsPerHour": JSONValue(found.deployment.dollarsPerHour),
        "batch": JSONValue(found.forecast.batch), "tokenSeconds": JSONValue(found.forecast.tokenSeconds),
        "tokensPerSecond": JSONValue(found.forecast.tokensPerSecond),
        "tokensPerDollar": JSONValue(found.tokensPerDollar),
      ]
    }
  }

  static func plot(_ rows: [Row]) -> Plot {
    let panels = ModelSize.known.filter { size in rows.contains { $0.size == size } }.map { size in
      let memories = Device.known.map(\.name).filter { name in rows.contains { $0.size == size && $0.memory == name } }
      let lines = memories.map { memory in
        let points = rows.filter { $0.size == size && $0.memory == memory }
          .map { Plot.Point($0.trace.meanContext, $0.ratio) }
        return Plot.Line("keys and values on \(memory)", points.sorted { $0.x < $1.x })
      }
      return Plot.Panel(axis: .init(size.name, includesZero: true), lines: lines)
    }
    return Plot(
      title: "Tokens per dollar of the best devices apart, over the best together",
      xAxis: .init("tokens that a sequence holds", scale: .logarithmic, unit: .count), panels: panels)
  }
}
