import ArgumentParser
import Engine
import Evaluation
import KVCaches
import Kernels
import ModelJSON
import Models
import Simulation

struct CalibrateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "calibrate",
    abstract: "Measure how long a step takes here, attention and the rest.",
    discussion: """
      Decodes with --batches sequences together that hold --lengths tokens each, and writes the times as a file of curves \
      for 'check'. Caches are filled with noise, on which time does not depend.
      """)

  @OptionGroup var model: ModelOptions
  @OptionGroup var slots: SlotTypeOption
  @Option(name: .long, help: "Sequences together, rising; 1,2,4,8 without it.")
  var batches: NumberList<Int>?
  @Option(name: .long, help: "Tokens that each sequence holds, rising; 64,512,2048 without it.")
  var lengths: NumberList<Int>?
  @Option(name: .long, help: "How often each is measured; the fastest counts, since other programs only add time.")
  var rounds = 5
  @Option(
    name: [.short, .long],
    help: ArgumentHelp("Write the curves there; to standard output without it.", valueName: "file"))
  var output: String?

  func validate() throws {
    try batches?.check("--batches", in: 1...model.chunk)
    try lengths?.check("--lengths", in: 1...1 << 30)
    for (name, values) in [("--batches", batches?.values), ("--lengths", lengths?.values)] {
      guard let values else { continue }
      guard values.count > 1, values == values.sorted() else {
        throw ValidationError("\(name) takes two rising numbers or more")
      }
    }
    guard (1...1000).contains(rounds) else {
      throw ValidationError("--rounds must be from 1 to 1000, but is \(rounds)")
    }
  }

  func run() throws {
    if let output { try OutputFile.check(output) }
    let loaded = try model.load(isQuiet: true)
    var options = StepTimesRun.Options()
    options.batches = batches?.values ?? options.batches
    options.lengths = lengths?.values ?? options.lengths
    let run = try StepTimesRun(loaded.engine, slotType: slots.type, options: options)
    let times = try StepTimesRun.Times(fastestOf: (0..<rounds).map { _ in run.measure() }).curves(options)
    let file = CurvesFile(
      model: FilePath.name(of: loaded.path), threads: loaded.engine.team.threads,
      instructionSet: loaded.engine.kernels.name, layers: loaded.engine.model.configuration.layers.count, times: times)
    if let output {
      try OutputFile.write(file.json.text + "\n", to: output)
    } else {
      StandardOutput.write(file.json.text + "\n")
    }
  }
}

extension StepTimesRun.Times {
  /// The times as the simulation takes them.
  func curves(_ options: StepTimesRun.Options) throws -> MeasuredTimes {
    guard
      let times = MeasuredTimes(
        batches: options.batches.map { Double($0) }, lengths: options.lengths.map { Double($0) },
        modelSeconds: model, attentionSeconds: attention)
    else { throw CommandError("the clock gave times that are none") }
    return times
  }
}
