import Evaluation
import Foundation

/// What one cache did along the demo's text.
struct DemoCurve {
  let name: String
  private var scores: [Double] = []
  private var memory: [Plot.Point] = []
  private(set) var perplexity = 0.0
  private(set) var cacheBytes = 0
  private(set) var tokensPerSecond = 0.0

  init(name: String) { self.name = name }

  mutating func append(_ scores: ArraySlice<Double>, cacheBytes: Int) {
    self.scores += scores
    memory.append(Plot.Point(Double(self.scores.count), Double(cacheBytes)))
  }

  mutating func finish(_ run: PerplexityRun, seconds: Double) {
    perplexity = run.perplexity ?? .nan
    cacheBytes = run.cacheBytesPeak
    tokensPerSecond = Double(run.scoredTokens) / max(seconds, 1e-9)
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
      .init("cache"), .init("perplexity", .trailing), .init("cache memory", .trailing), .init("tokens/s", .trailing),
    ])
    for curve in curves {
      table.append([
        curve.name, HumanReadable.decimal(curve.perplexity, places: 2), HumanReadable.bytes(curve.cacheBytes),
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
