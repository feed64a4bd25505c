import ArgumentParser
import Evaluation
import ModelJSON
import Simulation

/// What is simulated, and how it is written.
struct SimulationOptions: ParsableArguments {
  @Option(
    name: .long,
    help: ArgumentHelp(
      "A model: \(ModelSize.known.map(\.name).joined(separator: ", ")); may be given several times, all without it.",
      valueName: "name"),
    transform: Self.size)
  var size: [ModelSize] = []
  @Option(
    name: .long,
    help: ArgumentHelp(
      """
      Lengths of requests: \(RequestTrace.known.map(\.name).joined(separator: ", ")), or PROMPT/ANSWER as mean tokens; may \
      be given several times, all four without it.
      """, valueName: "name"),
    transform: Self.trace)
  var trace: [RequestTrace] = []
  @Option(name: .long, help: "Microseconds of a round trip between machines, beside bytes.")
  var roundTrip = 33.0
  @Option(name: .long, help: "Gigabytes a second that the network carries.")
  var rate = 45.7
  @Option(
    name: .long,
    help: ArgumentHelp(
      "The shares of a device's operations, bandwidth and memory that are reached; 0.5,0.8,0.9 without it.",
      valueName: "a,b,c"))
  var reached: NumberList<Double>?
  @Option(name: .long, help: "By how much exchanges may lengthen a token, for the break-even round trip.")
  var alpha = 0.2
  @Option(name: .long, help: "The same seed gives the same run.")
  var seed: UInt64 = 1
  @Flag(name: .long, help: "Print one JSON object per row, a line each.")
  var json = false
  @Option(name: .long, help: ArgumentHelp("Draw the rows.", valueName: "file.svg"))
  var plot: String?

  var sizes: [ModelSize] { size.isEmpty ? ModelSize.known : size }
  var traces: [RequestTrace] { trace.isEmpty ? RequestTrace.known : trace }
  var network: Deployment.Network { .init(roundTrip: roundTrip * 1e-6, bytesPerSecond: rate * 1e9) }

  var efficiency: Efficiency {
    var efficiency = Efficiency()
    if let reached = reached?.values {
      (efficiency.operations, efficiency.bandwidth, efficiency.memory) = (reached[0], reached[1], reached[2])
    }
    return efficiency
  }

  func validate() throws {
    for (name, value, range) in [
      ("--round-trip", roundTrip, 0...1e8), ("--rate", rate, 1e-6...1e6), ("--alpha", alpha, 1e-6...1e6),
    ] where !range.contains(value) {
      throw ValidationError("\(name) must be from \(range.lowerBound) to \(range.upperBound), but is \(value)")
    }
    if let reached {
      guard reached.values.count == 3, reached.values.allSatisfy({ $0 > 0 && $0 <= 1 }) else {
        throw ValidationError("--reached takes three numbers above 0 and at most 1")
      }
    }
  }

  static func size(_ text: String) throws -> ModelSize {
    guard let size = ModelSize.known.first(where: { $0.name == text }) else {
      throw ValidationError(
        "'\(text)' is no known size; known are \(ModelSize.known.map(\.name).joined(separator: ", "))")
    }
    return size
  }

  static func trace(_ text: String) throws -> RequestTrace {
    if let known = RequestTrace.known.first(where: { $0.name == text }) { return known }
    let numbers = text.split(separator: "/", omittingEmptySubsequences: false).compactMap { Double($0) }
    guard numbers.count == 2, numbers.allSatisfy({ (1...1e9).contains($0) }) else {
      let known = RequestTrace.known.map(\.name).joined(separator: ", ")
      throw ValidationError("'\(text)' is neither of \(known) nor PROMPT/ANSWER, as 1155/211")
    }
    return RequestTrace(name: text, prompt: numbers[0], output: numbers[1])
  }

  /// Prints rows in the form that is wanted, and draws them where a file is named.
  func write<Row: SimulationRow>(_ rows: [Row], plot figure: @autoclosure () -> Plot) throws {
    if json {
      for row in rows { StandardOutput.write(row.json.text + "\n") }
    } else {
      var table = TextTable(Row.columns)
      for row in rows { table.append(row.cells) }
      StandardOutput.write(table.text)
    }
    if let plot { try OutputFile.write(figure().svg(), to: plot) }
  }
}

/// What one simulation came to, as a row of a table and as an object.
protocol SimulationRow {
  static var columns: [TextTable.Column] { get }
  var cells: [String] { get }
  var json: JSONValue { get }
}

/// A device by its name in the catalogue.
struct DeviceName: ExpressibleByArgument, Sendable {
  let device: Device

  init(_ device: Device) { self.device = device }

  init?(argument: String) {
    guard let device = Device.named(argument) else { return nil }
    self.device = device
  }

  static var allValueStrings: [String] { Device.known.map(\.name) }

  var defaultValueDescription: String { device.name }
}

extension Deployment {
  /// `1 x h100 + 2 x h20, 2 batches`.
  var text: String {
    switch placement {
    case .together(let device, let count): "\(count) x \(device.name)"
    case .apart(let model, let a, let memory, let b, let n):
      "\(replicas > 1 ? "\(replicas) x " : "")\(a) x \(model.name) + \(b) x \(memory.name), "
        + (n == 1 ? "1 batch" : "\(n) batches")
    }
  }
}

extension HumanReadable {
  static func milliseconds(_ seconds: Double) -> String { decimal(seconds * 1000, places: 1) + " ms" }

  static func change(_ ratio: Double) -> String {
    (ratio >= 1 ? "+" : "") + decimal((ratio - 1) * 100, places: 1) + " %"
  }
}
