import ArgumentParser
import Evaluation
import ModelJSON
import Simulation

struct FleetCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fleet",
    abstract: "A thousand machines under requests that come at random, while some fail.",
    discussion: """
      Machines form equal cells, each of which runs the model with keys and values on machines of its own. Requests come as a \
      Poisson process, at shares of what all cells can do at most (--load), and go to the cell with the most room. \
      A machine that fails is missed after three heartbeats of 100 ms and replaced; lost keys and values are read from a \
      store or computed again, while other cells go on.
      """)

  @OptionGroup var options: SimulationOptions
  @Option(name: .long, help: "Machines of all cells together.")
  var workers = 1000
  @Option(name: .long, help: "The devices of the model.")
  var modelDevice = DeviceName(Device.known[0])
  @Option(name: .long, help: "The devices of keys and values.")
  var memoryDevice = DeviceName(Device.known[1])
  @Option(name: .long, help: ArgumentHelp("Devices of a cell; 2,4 without it.", valueName: "a,b"))
  var devices: NumberList<Int>?
  @Option(name: .long, help: "Batches of a cell that take turns.")
  var batches = 2
  @Option(name: .long, help: "Shares of the most that all cells can do; 0.5,0.8,0.9,0.95,1.05 without it.")
  var load: NumberList<Double>?
  @Option(name: .long, help: "Seconds that are simulated, after half as many in which the machines fill.")
  var seconds = 120.0
  @Option(name: .long, help: "Mean hours between two failures of a machine; 0 for none.")
  var failureHours = 24.0
  @Option(name: .long, help: "Seconds until another machine is ready in the place of a lost one.")
  var replacement = 10.0
  @Flag(help: "Where lost keys and values come from.")
  var rebuild = Rebuild.store
  @Option(name: .long, help: "Gigabytes a second that a store gives a cell.")
  var storeRate = 10.0

  enum Rebuild: String, EnumerableFlag {
    case store, prefill

    static func name(for value: Rebuild) -> NameSpecification { .customLong("rebuild-from-" + value.rawValue) }
  }

  func validate() throws {
    try devices?.check("--devices", in: 1...4096)
    if let devices, devices.values.count != 2 { throw ValidationError("--devices takes two numbers") }
    try load?.check("--load", in: 0.01...10)
    guard (1...16).contains(batches) else { throw ValidationError("--batches must be from 1 to 16, but is \(batches)") }
    for (name, value, range) in [
      ("--seconds", seconds, 1...1e6), ("--failure-hours", failureHours, 0...1e6),
      ("--replacement", replacement, 0...1e6),
      ("--store-rate", storeRate, 1e-6...1e6),
    ] where !range.contains(value) {
      throw ValidationError("\(name) must be from \(range.lowerBound) to \(range.upperBound), but is \(value)")
    }
    guard (cellDevices(0) + cellDevices(1)...1_000_000).contains(workers) else {
      throw ValidationError("--workers must be from those of a cell to 1000000, but is \(workers)")
    }
  }

  private func cellDevices(_ index: Int) -> Int {
    index == 0 ? (devices?.values[0] ?? 2) * max(1, batches - 1) : devices?.values[1] ?? 4
  }

  func run() throws {
    if let plot = options.plot { try OutputFile.check(plot) }
    let sizes = options.size.isEmpty ? [ModelSize.known[2]] : options.sizes
    var rows: [Row] = []
    for size in sizes {
      let deployment = Deployment(
        size,
        .apart(
          model: modelDevice.device, devices?.values[0] ?? 2, memory: memoryDevice.device, cellDevices(1),
          batches: batches), network: options.network, efficiency: options.efficiency)
      for trace in options.traces {
        for load in load?.values ?? [0.5, 0.8, 0.9, 0.95, 1.05] {
          rows.append(try measure(deployment, trace, load: load))
        }
      }
    }
    try options.write(rows, plot: Self.plot(rows))
  }

  private func measure(_ deployment: Deployment, _ trace: RequestTrace, load: Double) throws -> Row {
    let pipeline = deployment.pipeline
    let most = Forecast(pipeline, trace)
    guard most.batch >= 1 else {
      throw CommandError(
        "a cell of \(deployment.text) has no room for a request of \(trace.name) to \(deployment.size.name)")
    }
    var run = FleetRun.Options()
    run.cells = workers / (cellDevices(0) + cellDevices(1))
    run.arrivalsPerSecond = load * Double(run.cells) * most.tokensPerSecond / trace.output
    (run.seconds, run.warmUp, run.seed) = (seconds, seconds / 2, options.seed)
    run.failureSeconds = failureHours > 0 ? failureHours * 3600 : .infinity
    (run.modelMachines, run.memoryMachines) = (cellDevices(0), cellDevices(1))
    run.replacementSeconds = replacement
    run.rebuildSecondsPerToken =
      rebuild == .store
      ? deployment.size.cacheBytesPerToken / (storeRate * 1e9) : pipeline.times.model(batch: 4096) / 4096
    return Row(
      deployment: deployment, trace: trace, load: load, options: run, run: FleetRun(pipeline, trace, options: run))
  }

  struct Row: SimulationRow {
    let deployment: Deployment
    let trace: RequestTrace
    let load: Double
    let options: FleetRun.Options
    let run: FleetRun

    static let columns: [TextTable.Column] =
      [.init("model"), .init("trace")]
      + [
        "cells", "load", "requests/s", "tokens/s", "Mtokens/$", "running", "reserved", "queue", "waits p50",
        "waits p99",
        "a token p50", "a token p99", "failures", "available",
      ].map { .init($0, .trailing) }

    var tokensPerDollar: Double {
      run.tokensPerSecond * 3600 / (deployment.dollarsPerHour * Double(options.cells))
    }

    var cells: [String] {
      [
        deployment.size.name, trace.name, "\(options.cells)", HumanReadable.decimal(load, places: 2),
        HumanReadable.decimal(options.arrivalsPerSecond, places: 1),
        HumanReadable.decimal(run.tokensPerSecond, places: 0),
        HumanReadable.decimal(tokensPerDollar / 1e6, places: 2), HumanReadable.decimal(run.meanRunning, places: 0),
        HumanReadable.decimal(run.reservedShare * 100, places: 0) + " %",
        HumanReadable.decimal(run.meanWaiting, places: 1),
        HumanReadable.milliseconds(run.waiting.quantile(0.5)), HumanReadable.milliseconds(run.waiting.quantile(0.99)),
        HumanReadable.milliseconds(run.tokenSeconds.quantile(0.5)),
        HumanReadable.milliseconds(run.tokenSeconds.quantile(0.99)), "\(run.failures)",
        HumanReadable.decimal(run.availability * 100, places: 3) + " %",
      ]
    }

    var json: JSONValue {
      let quantiles = { (histogram: LogHistogram) -> JSONValue in
        [
          "mean": JSONValue(histogram.mean), "p50": JSONValue(histogram.quantile(0.5)),
          "p95": JSONValue(histogram.quantile(0.95)), "p99": JSONValue(histogram.quantile(0.99)),
          "p999": JSONValue(histogram.quantile(0.999)),
        ]
      }
      return [
        "model": JSONValue(deployment.size.name), "trace": JSONValue(trace.name), "cell": JSONValue(deployment.text),
        "cells": JSONValue(options.cells), "load": JSONValue(load),
        "requestsPerSecond": JSONValue(options.arrivalsPerSecond), "tokensPerSecond": JSONValue(run.tokensPerSecond),
        "tokensPerDollar": JSONValue(tokensPerDollar), "arrived": JSONValue(run.arrived),
        "finished": JSONValue(run.finished), "refused": JSONValue(run.refused), "running": JSONValue(run.meanRunning),
        "queue": JSONValue(run.meanWaiting), "reserved": JSONValue(run.reservedShare),
        "waitingSeconds": quantiles(run.waiting), "tokenSeconds": quantiles(run.tokenSeconds),
        "residenceSeconds": quantiles(run.residence), "failures": JSONValue(run.failures),
        "availability": JSONValue(run.availability),
      ]
    }
  }

  static func plot(_ rows: [Row]) -> Plot {
    let names = rows.map { "\($0.deployment.size.name), \($0.trace.name)" }
    let unique = names.indices.filter { names.firstIndex(of: names[$0]) == $0 }.map { names[$0] }
    func lines(_ value: (Row) -> Double) -> [Plot.Line] {
      unique.map { name in
        Plot.Line(name, zip(names, rows).filter { $0.0 == name }.map { Plot.Point($0.1.load, value($0.1)) })
      }
    }
    return Plot(
      title: "A fleet by its load", xAxis: .init("share of the most that it can do"),
      panels: [
        .init(axis: .init("tokens per second", unit: .count, includesZero: true), lines: lines(\.run.tokensPerSecond)),
        .init(
          axis: .init("ms between tokens, 99 %", includesZero: true),
          lines: lines { $0.run.tokenSeconds.quantile(0.99) * 1000 }),
        .init(
          axis: .init("s until a place, 99 %", scale: .logarithmic),
          lines: lines { max($0.run.waiting.quantile(0.99), 1e-4) }),
      ])
  }
}
