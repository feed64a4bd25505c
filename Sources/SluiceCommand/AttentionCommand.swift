import ArgumentParser
import Engine
import Evaluation
import Foundation
import KVCaches
import ModelJSON
import Tokenizers

struct AttentionCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "attention",
    abstract: "Which tokens of a text each head holds under one or more caches, and what they are worth.",
    discussion: """
      The texts are one stream, read under each cache and under a full cache beside it, which the model goes on with: the \
      errors of a layer are its own. The last tokens before a position come one at a time, as in decode.

      held: the tokens that the query at the position may read, itself included; in JSON, runs of tokens, first and last, \
      for each layer and KV head. A cache that reads a few pages of what it holds shows that in its error alone.
      error: |output - output of the full cache| / |output of the full cache| of a layer's attention, the mean over the \
      last tokens.
      mass: the share of the full cache's attention probabilities that falls on tokens held: of the last query, the mean \
      over the query heads of a KV head.
      """)

  @OptionGroup var comparison: ComparisonOptions
  @Flag(name: .long, help: "Print one JSON object per cache and position, a line each.")
  var json = false
  @Option(name: .long, help: ArgumentHelp("Draw the tokens held, mass and error.", valueName: "file.svg"))
  var plot: String?
  @Option(
    name: .long,
    help: ArgumentHelp(
      "Write the attention that each head loses under the first cache, the mean over the positions, for duo-attention.",
      valueName: "file.tsv"))
  var heads: String?

  func run() throws {
    let subject = try comparison.load(outputs: [plot, heads], isQuiet: json)
    let count = subject.positions.count
    var measurements: [AttentionMeasurement] = []
    for (name, plan) in subject.plans {
      measurements += try measure(plan, name, subject)
      if json {
        for measurement in measurements.suffix(count) { StandardOutput.write(measurement.json.text + "\n") }
      }
    }
    if let heads { try OutputFile.write(HeadNeeds(Array(measurements.prefix(count))).text, to: heads) }
    if !json { StandardOutput.write(measurements.map { Self.table($0) }.joined(separator: "\n")) }
    if let plot {
      let title = "\(subject.textName), \(subject.modelName)"
      try OutputFile.write(TokenMap(measurements, title: title).svg(), to: plot)
    }
  }

  private func measure(
    _ plan: KVCache.Plan, _ name: String, _ subject: ComparisonOptions.Comparison
  ) throws -> [AttentionMeasurement] {
    let run = try AttentionRun(
      engine: subject.loaded.engine, plan: plan, name: name, slotType: comparison.slots.type,
      last: comparison.last, tokens: subject.text.count, memory: ProcessInfo.processInfo.physicalMemory)
    var progress = ProgressLine.standardError()
    let status = { StreamStatus(label: name, tokens: run.position, totalTokens: subject.text.count) }
    let measurements = subject.positions.map { run.measure(at: $0, of: subject.text) { progress.update(status()) } }
    progress.clear()
    guard measurements.allSatisfy(\.isFinite) else {
      throw CommandError(
        "\(subject.loaded.path): the model's attention gives no finite numbers; its weights are broken")
    }
    return measurements
  }

  /// A line for every layer, the mean of all below.
  private static func table(_ measurement: AttentionMeasurement) -> String {
    var table = TextTable([
      .init("layer", .trailing), .init("held", .trailing), .init("error", .trailing), .init("mass", .trailing),
    ])
    func append(_ name: String, _ held: [Int], _ error: Double, _ mass: Double) {
      let (least, most) = (held.min() ?? 0, held.max() ?? 0)
      table.append([
        name, least == most ? HumanReadable.count(most) : "\(HumanReadable.count(least))–\(HumanReadable.count(most))",
        HumanReadable.decimal(error, places: 4), HumanReadable.decimal(mass, places: 4),
      ])
    }
    for (index, layer) in measurement.layers.enumerated() {
      append("\(index)", layer.held.map(\.count), layer.error, layer.mass)
    }
    append("mean", measurement.layers.flatMap { $0.held.map(\.count) }, measurement.error, measurement.mass)
    return "\(measurement.cache) at \(HumanReadable.tokens(measurement.position))\n\n\(table.text)"
  }
}
