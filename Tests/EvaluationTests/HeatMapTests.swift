import Evaluation
import Foundation
import Testing

@Suite struct HeatMapTests {
  /// Three panels in two rows, all steps of colour, a cell without a value, text that needs escaping.
  private static let recall = HeatMap(
    title: "Recall: pass keys & novels", subtitle: "Made-up data in the shape of the real figure",
    valueTitle: "share of right digits", columnTitle: "prompt (tokens)", columns: ["1,000", "2,000", "4,000", "8,000"],
    rowTitle: "depth", rows: ["0", "0.25", "0.5", "0.75", "1"],
    panels: ["full", "streaming-llm:4+508", "cascading:512/4 <of old>"].enumerated().map { index, name in
      HeatMap.Panel(
        name,
        values: (0..<5).map { row in
          (0..<4).map { column in
            index == 1 && row == 0 && column == 3 ? nil : 1 - Double(index * column * (4 - row)) / 25
          }
        })
    })

  private static let file = GoldenPlot.folder.appending(path: "heat-map.svg")

  @Test func `matches the recorded file`() throws {
    let text = Self.recall.svg(width: 640)
    if ProcessInfo.processInfo.environment["SLUICE_RECORD"] != nil {
      try text.write(to: Self.file, atomically: true, encoding: .utf8)
    }
    let recorded = try String(contentsOf: Self.file, encoding: .utf8)
    #expect(text == recorded, "run the tests with SLUICE_RECORD=1 if the change is meant, and look at the picture")
  }

  @Test func `is well-formed XML with a number in every cell`() {
    let reader = XMLReader()
    let text = Self.recall.svg()
    #expect(reader.read(text))
    // Paper, eleven swatches, a cell for each value.
    #expect(reader.elements["rect"] == 1 + 11 + 60)
    #expect(
      text.contains("cascading:512/4 &lt;of old&gt;") && text.contains(">0.84</text>") && text.contains(">–</text>"))
  }

  @Test func `strange values are drawn as none or as the ends`() {
    var map = Self.recall
    map.columns = ["1"]
    map.rows = ["a", "b", "c", "d"]
    map.panels = [HeatMap.Panel("p", values: [[.nan], [.infinity], [-3], [7]])]
    let text = map.svg(width: 10)
    #expect(XMLReader().read(text))
    #expect(!text.contains("nan") && !text.contains("inf"))
    #expect(text.components(separatedBy: ">–</text>").count == 3)
  }

  @Test func `no panels and no cells are still a figure`() {
    var map = Self.recall
    map.panels = []
    #expect(XMLReader().read(map.svg()))
    map.columns = []
    map.rows = []
    map.panels = [HeatMap.Panel("p", values: [])]
    #expect(XMLReader().read(map.svg()))
  }
}
