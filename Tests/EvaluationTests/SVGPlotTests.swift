import Evaluation
import Foundation
import Testing

@Suite struct SVGPlotTests {
  @Test(arguments: GoldenPlot.all) func `matches the recorded file`(golden: GoldenPlot) throws {
    let text = golden.plot.svg(width: golden.width)
    if ProcessInfo.processInfo.environment["SLUICE_RECORD"] != nil {
      try FileManager.default.createDirectory(at: GoldenPlot.folder, withIntermediateDirectories: true)
      try text.write(to: golden.file, atomically: true, encoding: .utf8)
    }
    let recorded = try String(contentsOf: golden.file, encoding: .utf8).split(separator: "\n")
    let lines = text.split(separator: "\n")
    #expect(lines.count == recorded.count)
    let difference = zip(lines, recorded).first { $0 != $1 }
    #expect(difference == nil, "run the tests with SLUICE_RECORD=1 if the change is meant, and look at the picture")
  }

  @Test(arguments: GoldenPlot.all) func `is well-formed XML`(golden: GoldenPlot) throws {
    let reader = XMLReader()
    #expect(reader.read(golden.plot.svg(width: golden.width)))
    #expect(reader.elements["svg"] == 1)
  }

  @Test func `text is escaped and forbidden characters are replaced`() {
    let plot = Plot(
      title: "a < b & \"c\"", xAxis: Plot.Axis("</text><script>\u{0}\u{1B}[31m"),
      panels: [Plot.Panel(axis: Plot.Axis("'y'"), lines: [Plot.Line("<l>", [Plot.Point(0, 0), Plot.Point(1, 1)])])])
    let text = plot.svg()
    #expect(text.contains("a &lt; b &amp; &quot;c&quot;"))
    #expect(text.contains("&lt;/text&gt;&lt;script&gt;\u{FFFD}\u{FFFD}[31m"))
    #expect(text.contains("&#39;y&#39;"))
    #expect(!text.contains("<script"))
    #expect(XMLReader().read(text))
  }

  @Test func `points that cannot be drawn interrupt the line and are not written`() {
    let points = [
      Plot.Point(1, 10), Plot.Point(2, 20), Plot.Point(3, .nan), Plot.Point(4, 40), Plot.Point(5, .infinity),
      Plot.Point(.nan, 5), Plot.Point(6, 0), Plot.Point(7, -3), Plot.Point(8, 80), Plot.Point(9, 90),
    ]
    let plot = Plot(
      title: "", xAxis: Plot.Axis("x"),
      panels: [Plot.Panel(axis: Plot.Axis("y", scale: .logarithmic), lines: [Plot.Line("l", points)])])
    let path = curves(in: plot.svg()).first ?? ""
    #expect(path.filter { $0 == "M" }.count == 3)
    #expect(path.filter { $0 == "L" }.count == 2)
    #expect(!plot.svg().contains("nan"))
    #expect(!plot.svg().contains("inf"))
  }

  @Test(arguments: [Plot.Axis.Scale.linear, .logarithmic])
  func `a plot without drawable data still has axes`(scale: Plot.Axis.Scale) {
    for points in [[], [Plot.Point(.nan, .nan)], [Plot.Point(0, 0)], [Plot.Point(1e300, 1e300)], [Plot.Point(-5, -5)]] {
      let plot = Plot(
        title: "t", xAxis: Plot.Axis("x", scale: scale),
        panels: [Plot.Panel(axis: Plot.Axis("y", scale: scale), lines: [Plot.Line("l", points)])],
        markers: [Plot.Marker(x: .nan, label: "nowhere"), Plot.Marker(x: 1e9, label: "outside")])
      let text = plot.svg()
      #expect(XMLReader().read(text))
      #expect(text.contains("class=\"grid\""))
      #expect(!text.contains("nowhere") && !text.contains("nan"))
    }
    #expect(XMLReader().read(Plot(title: "", xAxis: Plot.Axis(""), panels: []).svg()))
  }

  @Test func `a million points stay a small file and keep their one spike`() {
    let points = (0..<1_000_000).map { Plot.Point(Double($0), $0 == 654_321 ? 100 : Double($0 % 7)) }
    let plot = Plot(
      title: "", xAxis: Plot.Axis("x"), panels: [Plot.Panel(axis: Plot.Axis("y"), lines: [Plot.Line("l", points)])])
    let text = plot.svg()
    #expect(text.utf8.count < 60_000)
    let spike = curves(in: text).joined().split(whereSeparator: { "ML".contains($0) })
      .compactMap { Double($0.split(separator: " ").last ?? "") }.min()
    let top = horizontals(in: text).min()
    #expect(spike == top)
  }

  @Test func `a label has one legend entry and one style in all panels`() {
    let line = Plot.Line("full", [Plot.Point(0, 1), Plot.Point(1, 2)])
    let other = Plot.Line("window", [Plot.Point(0, 1), Plot.Point(1, 2)])
    let plot = Plot(
      title: "", xAxis: Plot.Axis("x"),
      panels: [
        Plot.Panel(axis: Plot.Axis("a"), lines: [line, other]), Plot.Panel(axis: Plot.Axis("b"), lines: [other]),
      ])
    let text = plot.svg()
    #expect(text.components(separatedBy: ">window</text>").count == 2)
    #expect(text.components(separatedBy: "class=\"line s1 d1\"").count == 4)
    #expect(text.components(separatedBy: "class=\"line s0 d0\"").count == 3)
  }

  /// The path commands of the lines, without the samples in the legend (those use a relative `h`).
  private func curves(in text: String) -> [String] {
    text.split(separator: "\n").filter { $0.hasPrefix("<path class=\"line") && !$0.contains("h30") }
      .compactMap { $0.components(separatedBy: " d=\"").last?.components(separatedBy: "\"").first }
  }

  private func horizontals(in text: String) -> [Double] {
    text.split(separator: "\n").filter { $0.hasPrefix("<path class=\"grid") }
      .compactMap { Double($0.components(separatedBy: "H")[0].split(separator: " ").last ?? "") }
  }
}
