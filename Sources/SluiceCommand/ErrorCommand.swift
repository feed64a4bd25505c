import ArgumentParser
import Engine
import Evaluation
import Foundation
import KVCaches
import ModelJSON
import Models

struct ErrorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "error",
    abstract: "How far the attention of caches is from that of a full cache, beside what theory says of the keys.",
    discussion: """
      The texts are one stream, read under each cache and under a full cache beside it, which the model goes on with: the \
      errors of a layer are its own.

      error: |output - output of the full cache| / |output of the full cache|, the mean over the last tokens.
      delta: the radius of greedy k-center with so many clusters over all keys; r: the largest norm of a query; both scaled \
      by headDim^(-1/4), so that keys times queries are logits (arXiv 2402.06082).
      rank: the stable rank of the values. spread: the standard deviation of the logits.
      sampled: the error that as many value samples as clusters may have in root mean square. clustered: what the error of \
      as many clusters cannot exceed. Means over KV heads; bounds: the middle head.
      keys, values: the same radius where the points' own spread is 1: what clusters has less. With --delta, how many \
      clusters SubGen's Algorithm 1 makes of all keys within that distance, and of all values within the same share of \
      their spread.
      """)

  @OptionGroup var comparison: ComparisonOptions
  @Option(name: .long, help: "Clusters in which the geometry of keys is measured.")
  var clusters = 256
  @Option(
    name: .long,
    help: ArgumentHelp(
      "Count the clusters of keys within this distance, that of the option delta of 'clusters'.", valueName: "distance")
  )
  var delta: Double?
  @Option(
    name: .long, parsing: .unconditional,
    help: ArgumentHelp(
      "Compare this layer alone, from 0 on, without positions, while the model reads under sinks and a window: for streams "
        + "far longer than what the model was trained for.", valueName: "layer"))
  var layer: Int?
  @Flag(name: .long, help: "Print one JSON object per cache and position, a line each, with all layers and heads.")
  var json = false
  @Option(
    name: .long,
    help: ArgumentHelp("Draw the errors, over positions or, for a single one, over bytes.", valueName: "file.svg"))
  var plot: String?

  func validate() throws {
    guard (1...1 << 16).contains(clusters) else {
      throw ValidationError("--clusters must be from 1 to 65536, but is \(clusters)")
    }
    if let delta, !(delta >= 0 && delta.isFinite) {
      throw ValidationError("--delta must be a distance, but is \(delta)")
    }
  }

  func run() throws {
    let subject = try comparison.load(outputs: [plot], isQuiet: json)
    let layers = subject.loaded.engine.model.configuration.attention.layers
    if let layer, !(0..<layers).contains(layer) {
      throw CommandError("--layer must be from 0 to \(layers - 1), but is \(layer)")
    }
    var measurements: [ErrorMeasurement] = []
    for (name, plan) in subject.plans {
      let own = try measure(plan, name, subject, geometry: measurements)
      measurements += own
      if json { for measurement in own { StandardOutput.write(measurement.json.text + "\n") } }
    }
    if !json { StandardOutput.write(Self.table(measurements)) }
    if let plot {
      let curves = ErrorCurves.plot(
        measurements, title: "Error of attention beside a full cache",
        subtitle: "\(subject.textName), \(subject.modelName)")
      try OutputFile.write(curves.svg(), to: plot)
    }
  }

  /// - Parameter geometry: measurements of other caches at the same positions, if any: keys lie as they do there.
  private func measure(
    _ plan: KVCache.Plan, _ name: String, _ subject: ComparisonOptions.Comparison, geometry known: [ErrorMeasurement]
  ) throws -> [ErrorMeasurement] {
    let run = try AttentionRun(
      engine: subject.loaded.engine, plan: plan, name: name, slotType: comparison.slots.type,
      last: comparison.last, tokens: subject.text.count, memory: ProcessInfo.processInfo.physicalMemory,
      clusters: known.isEmpty ? clusters : nil, delta: delta, layer: layer)
    var progress = ProgressLine.standardError()
    let status = { StreamStatus(label: name, tokens: run.position, totalTokens: subject.text.count) }
    let measurements = subject.positions.enumerated().map { index, position in
      let attention = run.measure(at: position, of: subject.text) { progress.update(status()) }
      return ErrorMeasurement(
        attention: attention, bytes: run.cacheBytes, clusters: clusters,
        geometry: known.isEmpty ? run.geometry : known[index].geometry)
    }
    progress.clear()
    guard measurements.allSatisfy(\.attention.isFinite) else {
      throw CommandError(
        "\(subject.loaded.path): the model's attention gives no finite numbers; its weights are broken")
    }
    return measurements
  }

  /// What the keys are like, a line for every position; then errors, a line for every cache and position.
  private static func table(_ measurements: [ErrorMeasurement]) -> String {
    var keys = TextTable(
      ["tokens", "delta", "r", "delta r", "rank", "spread", "sampled", "clustered", "keys", "values"].map {
        .init($0, .trailing)
      })
    var counts = TextTable(
      ["tokens", "clusters of keys", "fewest", "most", "a token", "clusters of values", "a token"].map {
        .init($0, .trailing)
      })
    var isCounted = false
    var seen: Set<Int> = []
    for measurement in measurements where seen.insert(measurement.attention.position).inserted {
      let decimal = { HumanReadable.decimal($0, places: 3) }
      keys.append([
        HumanReadable.count(measurement.attention.position), decimal(measurement.mean(\.radius)),
        decimal(measurement.mean(\.queryNorm)), decimal(measurement.mean { $0.radius * $0.queryNorm }),
        decimal(measurement.mean(\.stableRank)), decimal(measurement.mean(\.logitSpread)),
        decimal(measurement.median(\.sampleBound)), scientific(measurement.median(\.clusterBound)),
        decimal(measurement.mean(\.keys.relativeRadius)), decimal(measurement.mean(\.values.relativeRadius)),
      ])
      guard let row = clusters(measurement) else { continue }
      counts.append(row)
      isCounted = true
    }
    var errors = TextTable([
      .init("cache"), .init("tokens", .trailing), .init("bytes", .trailing), .init("error", .trailing),
      .init("first layer", .trailing), .init("worst layer", .trailing),
    ])
    for measurement in measurements {
      let layers = measurement.attention.layers.map(\.error)
      errors.append([
        measurement.attention.cache, HumanReadable.count(measurement.attention.position),
        HumanReadable.count(measurement.bytes), HumanReadable.decimal(measurement.attention.error, places: 4),
        HumanReadable.decimal(layers.first ?? 0, places: 4), HumanReadable.decimal(layers.max() ?? 0, places: 4),
      ])
    }
    return [keys.text, isCounted ? counts.text : nil, errors.text].compactMap { $0 }.joined(separator: "\n")
  }

  /// How many clusters keys and values make, nil where they were not counted.
  private static func clusters(_ measurement: ErrorMeasurement) -> [String]? {
    let counts = measurement.geometry.joined().compactMap(\.keys.clusters)
    guard let fewest = counts.min(), let most = counts.max() else { return nil }
    let tokens = Double(measurement.attention.position)
    let (keys, values) = (
      measurement.mean { Double($0.keys.clusters ?? 0) }, measurement.mean { Double($0.values.clusters ?? 0) }
    )
    return [
      HumanReadable.count(measurement.attention.position), HumanReadable.decimal(keys, places: 1),
      HumanReadable.count(fewest), HumanReadable.count(most), HumanReadable.decimal(keys / tokens, places: 3),
      HumanReadable.decimal(values, places: 1), HumanReadable.decimal(values / tokens, places: 3),
    ]
  }

  /// Bounds grow past what decimals can show.
  private static func scientific(_ value: Double) -> String {
    value.isFinite ? String(format: "%.1e", value) : "none"
  }
}
