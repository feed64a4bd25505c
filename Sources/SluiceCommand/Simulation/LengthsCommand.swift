import ArgumentParser
import Evaluation
import ModelJSON
import Simulation

struct LengthsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lengths",
    abstract: "How much attention apart gives by the length of prompts.",
    discussion: """
      The best devices apart beside the best together, as 'best' finds them, for prompts of --prompts tokens and answers of \
      --answer, all by their means. --trace means nothing here.
      """)

  @OptionGroup var options: SimulationOptions
  @Option(name: .long, help: "The devices of the model, and those that do everything.")
  var modelDevice = DeviceName(Device.known[0])
  @Option(name: .long, help: "The devices of keys and values.")
  var memoryDevice = DeviceName(Device.known[1])
  @Option(name: .long, help: "Mean tokens of prompts; powers of two from 256 to 131,072 without it.")
  var prompts: NumberList<Double>?
  @Option(name: .long, help: "Mean tokens of answers.")
  var answer = 200.0
  @Option(name: .long, help: "The most devices of a kind.")
  var most = 8
  @Option(name: .long, help: "The longest that a token may take, in milliseconds.")
  var longest = 200.0

  func validate() throws {
    try prompts?.check("--prompts", in: 1...1e9)
    guard (1...1e9).contains(answer) else { throw ValidationError("--answer must be from 1 to 1e9, but is \(answer)") }
    guard (1...64).contains(most) else { throw ValidationError("--most must be from 1 to 64, but is \(most)") }
    guard (0.001...1e6).contains(longest) else {
      throw ValidationError("--longest must be from 0.001 to 1000000, but is \(longest)")
    }
    guard options.trace.isEmpty else { throw ValidationError("--trace means nothing to lengths, which has --prompts") }
  }

  func run() throws {
    if let plot = options.plot { try OutputFile.check(plot) }
    let lengths = prompts?.values ?? (8...17).map { Double(1 << $0) }
    var rows: [Row] = []
    for size in options.sizes {
      for length in lengths {
        let name = HumanReadable.decimal(length, places: 0)
        var search = DeploymentSearch(size, RequestTrace(name: name, prompt: length, output: answer))
        (search.network, search.efficiency) = (options.network, options.efficiency)
        (search.mostDevices, search.mostTokenSeconds) = (most, longest / 1000)
        guard let apart = search.apart(model: modelDevice.device, memory: memoryDevice.device) else { continue }
        let together = search.together(modelDevice.device)
        rows.append(.init(size: size, trace: search.trace, apart: apart, together: together, alpha: options.alpha))
      }
    }
    try options.write(rows, plot: Self.plot(rows))
  }

  typealias Row = BestCommand.Row

  static func plot(_ rows: [Row]) -> Plot {
    let sizes = ModelSize.known.filter { size in rows.contains { $0.size == size } }
    func lines(_ value: (Row) -> Double) -> [Plot.Line] {
      sizes.map { size in
        Plot.Line(size.name, rows.filter { $0.size == size }.map { Plot.Point($0.trace.prompt, value($0)) })
      }
    }
    return Plot(
      title: "Tokens per dollar of the best devices apart, over the best together",
      xAxis: .init("tokens of a prompt", scale: .logarithmic, unit: .count),
      panels: [
        .init(axis: .init("ratio", includesZero: true), lines: lines(\.ratio)),
        .init(axis: .init("break-even round trip, us", includesZero: true), lines: lines { $0.breakEven * 1e6 }),
      ])
  }
}
