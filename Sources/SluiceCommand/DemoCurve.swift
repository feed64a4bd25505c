import Evaluation
import Foundation

/// What one cache did along the demo's text.
struct DemoCurve {
  let name: String
  private var scores: [Double] = []
  private var memory: [Plot.Point] = []
  private(set) var perplexity = 0.0
  private(set) var cacheBytes = 0
  /// What reading has taken.
  private var seconds = 0.0

  var tokens: Int { scores.count }
  private var tokensPerSecond: Double { Double(tokens) / max(seconds, 1e-9) }

  init(name: String) { self.name = name }

  mutating func append(_ scores: ArraySlice<Double>, cacheBytes: Int) {
    self.scores += scores
    memory.append(Plot.Point(Double(self.scores.count), Double(cacheBytes)))
  }

  /// Takes up how a run stands after a chunk that took so many seconds.
  mutating func finish(_ run: PerplexityRun, seconds: Double) {
    perplexity = run.perplexity ?? .nan
    cacheBytes = run.cacheBytesPeak
    self.seconds += seconds
  }

  /// How it stands, with the perplexity of the newest tokens.
  var status: DemoStatus.Cache {
    let newest = scores.suffix(1024)
    return DemoStatus.Cache(
      name: name, cacheBytes: cacheBytes,
      perplexity: newest.isEmpty ? nil : exp(newest.reduce(0, +) / Double(newest.count)))
  }

  /// Perplexity over the last `window` tokens, a point every `step`.
  private func running(window: Int, step: Int) -> [Plot.Point] {
    stride(from: min(window, scores.count), through: scores.count, by: step).map { end in
      let part = scores[max(0, end - window)..<end]
      return Plot.Point(Double(end), exp(part.reduce(0, +) / Double(part.count)))
    }
  }

  static func table(_ curves: [DemoCurve]) -> TextTable {
    var table = TextTable([
      .init("cache"), .init("tokens", .trailing), .init("perplexity", .trailing), .init("of the last 1,024", .trailing),
      .init("cache memory", .trailing), .init("tokens/s", .trailing),
    ])
    for curve in curves {
      table.append([
        curve.name, HumanReadable.count(curve.tokens), HumanReadable.decimal(curve.perplexity, places: 2),
        HumanReadable.decimal(curve.status.perplexity ?? .nan, places: 2), HumanReadable.bytes(curve.cacheBytes),
        HumanReadable.decimal(curve.tokensPerSecond, places: 0),
      ])
    }
    return table
  }

  static func plot(_ curves: [DemoCurve], budget: Int, trainedLength: Int) -> Plot {
    let length = curves.map(\.scores.count).max() ?? 0
    return Plot(
      title: "One text, four memories",
      subtitle:
        "Perplexity of the last 1,024 tokens, and bytes of keys and values; bounded caches hold \(budget) tokens",
      xAxis: Plot.Axis("position in the text (tokens)", unit: .count),
      panels: [
        Plot.Panel(
          axis: Plot.Axis("perplexity", scale: .logarithmic),
          lines: curves.map { Plot.Line($0.name, $0.running(window: 1024, step: 64)) }),
        Plot.Panel(
          axis: Plot.Axis("cache memory", unit: .bytes, includesZero: true),
          lines: curves.map { Plot.Line($0.name, $0.memory) }),
      ],
      markers: length > trainedLength ? [Plot.Marker(x: Double(trainedLength), label: "trained length")] : [])
  }
}
