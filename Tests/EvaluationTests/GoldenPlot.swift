import Evaluation
import Foundation
import Kernels
import TestSupport
import Testing

/// A plot with a recorded drawing in `Tests/Golden/Plots`.
struct GoldenPlot: Sendable, CustomTestStringConvertible {
  let name: String
  let width: Double
  let plot: Plot

  static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Golden/Plots")
  var file: URL { Self.folder.appending(path: name + ".svg") }
  var testDescription: String { name }

  static let all = [perplexityAndMemory, logarithmic, bands]

  /// The shape of the project's main figure: two panels over one axis, a marker, lines that meet and a line that ends.
  private static let perplexityAndMemory: GoldenPlot = {
    var random = SplitMix64(seed: 7)
    let positions = (0...150).map { Double($0) * 200 }
    func noisy(_ value: (Double) -> Double) -> [Plot.Point] {
      positions.map { Plot.Point($0, value($0) * (1 + 0.02 * Double(random.normal()))) }
    }
    let full = noisy { $0 < 8192 ? 38 + 8 / (1 + $0 / 800) : 38 * exp2(min(($0 - 8192) / 2000, 6)) }
    let window = noisy { $0 < 512 ? 45 : 45 + 30 * (1 - exp2(-($0 - 512) / 900)) }
    let streaming = noisy { 42 + 6 / (1 + $0 / 800) }
    let recompute = noisy { 43 + 6 / (1 + $0 / 700) }
    let slot = 46_080.0
    func bounded(_ points: [Plot.Point]) -> [Plot.Point] { points.map { Plot.Point($0.x, min($0.x, 512) * slot) } }
    return GoldenPlot(
      name: "perplexity-and-memory", width: 860,
      plot: Plot(
        title: "A river of text through 512 tokens of cache",
        subtitle: "Made-up data in the shape of the real figure",
        xAxis: Plot.Axis("position in the text (tokens)", unit: .count),
        panels: [
          Plot.Panel(
            axis: Plot.Axis("running perplexity (log scale)", scale: .logarithmic),
            lines: [
              Plot.Line("full", full), Plot.Line("window:512", window), Plot.Line("streaming-llm:4+508", streaming),
              Plot.Line("recompute:512/256", recompute),
            ], height: 230),
          Plot.Panel(
            axis: Plot.Axis("cache memory", unit: .bytes, includesZero: true),
            lines: [
              Plot.Line("full", positions.map { Plot.Point($0, $0 * slot) }), Plot.Line("window:512", bounded(window)),
              Plot.Line("streaming-llm:4+508", bounded(streaming)), Plot.Line("recompute:512/256", bounded(recompute)),
            ], height: 130),
        ],
        markers: [Plot.Marker(x: 8192, label: "trained length 8,192")]))
  }()

  /// Both axes logarithmic, more labels than fit one legend row, markers that would touch, text that needs escaping.
  private static let logarithmic = GoldenPlot(
    name: "logarithmic", width: 640,
    plot: Plot(
      title: "Eight lines & <nine> labels",
      xAxis: Plot.Axis("tokens", scale: .logarithmic, unit: .count),
      panels: [
        Plot.Panel(
          axis: Plot.Axis("bytes", scale: .logarithmic, unit: .bytes),
          lines: (0..<9).map { line in
            Plot.Line(
              "cascading:1024/\(line + 1)",
              (0...20).map { Plot.Point(exp2(Double($0)), 1024 * exp2(Double($0) * (0.3 + 0.05 * Double(line)))) })
          })
      ],
      markers: [
        Plot.Marker(x: 2048, label: "trained length"), Plot.Marker(x: 4096, label: "twice"),
        Plot.Marker(x: 900, label: "budget"),
      ]))

  /// A band with a gap around a line, a fixed range that clips, and negative values.
  private static let bands: GoldenPlot = {
    let x = (0...40).map { Double($0) / 20 }
    let wave = x.map { cos(6 * $0) }
    return GoldenPlot(
      name: "bands", width: 480,
      plot: Plot(
        title: "", xAxis: Plot.Axis("seconds"),
        panels: [
          Plot.Panel(
            axis: Plot.Axis("signed", range: -1...1.5),
            lines: [Plot.Line("mean", zip(x, wave).map { Plot.Point($0, $1) })],
            bands: [
              Plot.Band(
                "mean", x: x, lower: wave.map { $0 - 0.3 },
                upper: wave.enumerated().map { $0 == 20 ? .nan : $1 + 0.3 })
            ], height: 120)
        ]))
  }()
}
