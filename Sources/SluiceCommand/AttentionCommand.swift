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

  @OptionGroup var model: ModelOptions
  @Argument(help: "Text files; - is standard input.")
  var texts: [String]
  @Option(name: .long, help: ArgumentHelp("A cache; may be given several times.", valueName: "spec"))
  var cache: [String]
  @OptionGroup var slots: SlotTypeOption
  @Option(
    name: .long,
    help: ArgumentHelp("Where to look, in tokens read, with commas in between.", valueName: "position,…"))
  var at: NumberList<Int>
  @Option(name: .long, help: "The last tokens before a position, over which errors are averaged.")
  var last = 64
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

  func validate() throws {
    try at.check("--at", in: 1...1 << 24)
    guard (1...1 << 16).contains(last) else { throw ValidationError("--last must be from 1 to 65536, but is \(last)") }
    guard texts.count(where: { $0 == "-" }) < 2 else {
      throw ValidationError("standard input can be read only once")
    }
  }

  func run() throws {
    let plans = try cache.map { specification throws(KVCacheError) in
      (name: specification, plan: try KVCache.Plan(specification))
    }
    let sources = try texts.map { path throws(CommandError) in try TextSource(path: path) }
    for path in [plot, heads].compactMap({ $0 }) { try OutputFile.check(path) }
    let loaded = try model.load()
    let positions = at.values.sorted()
    let text = try TextSource.tokens(of: sources, upTo: positions.last ?? 0, loaded.tokenizer)
    var measurements: [AttentionMeasurement] = []
    for (name, plan) in plans {
      measurements += try measure(plan, name, positions, text, loaded)
      if json {
        for measurement in measurements.suffix(positions.count) { StandardOutput.write(measurement.json.text + "\n") }
      }
    }
    if let heads { try OutputFile.write(HeadNeeds(Array(measurements.prefix(positions.count))).text, to: heads) }
    if !json { StandardOutput.write(measurements.map { Self.table($0) }.joined(separator: "\n")) }
    if let plot {
      let names = texts.count == 1 ? (texts[0] as NSString).lastPathComponent : "\(texts.count) texts"
      let title = "\(names), \((loaded.path as NSString).lastPathComponent)"
      try OutputFile.write(TokenMap(measurements, title: title).svg(), to: plot)
    }
  }

  private func measure(
    _ plan: KVCache.Plan, _ name: String, _ positions: [Int], _ text: [Int32], _ loaded: LanguageModel.Loaded
  ) throws -> [AttentionMeasurement] {
    let run = try AttentionRun(
      engine: loaded.engine, plan: plan, name: name, slotType: slots.cacheType, last: last, tokens: text.count,
      memory: ProcessInfo.processInfo.physicalMemory)
    var progress = ProgressLine.standardError()
    let status = { StreamStatus(label: name, tokens: run.position, totalTokens: text.count) }
    let measurements = positions.map { run.measure(at: $0, of: text) { progress.update(status()) } }
    progress.clear()
    guard measurements.allSatisfy(\.isFinite) else {
      throw CommandError("\(loaded.path): the model's attention gives no finite numbers; its weights are broken")
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
