import Evaluation
import Foundation
import Testing

@Suite struct TokenMapTests {
  /// A panel with a column a token and one with several tokens a column, heads of different tokens, an empty head, text
  /// that needs escaping.
  private static let map = TokenMap(
    [
      measurement("streaming-llm:4+24 & more", position: 60, held: window),
      measurement("cascading:512/4 <made up>", position: 3000, held: cascade),
    ], title: "Tokens & heads")

  private static func window(head: Int) -> [Int] { Array(0..<4) + Array(36 - head..<60) }

  private static func cascade(head: Int) -> [Int] {
    guard head != 2 else { return [] }
    var held = Array(0..<4)
    held += stride(from: 600 + head, to: 2200, by: 7)
    held += stride(from: 2200, to: 2700, by: 2)
    held += 2700..<3000
    return held
  }

  private static func measurement(
    _ name: String, position: Int, held: (_ head: Int) -> [Int]
  ) -> AttentionMeasurement {
    AttentionMeasurement(
      cache: name, position: position, last: 64,
      layers: (0..<12).map { layer in
        AttentionMeasurement.Layer(
          held: (0..<3).map { held(layer % 2 + $0) }, error: Double(layer) / 30, headErrors: [],
          masses: (0..<3).map { 1 - Double(layer * $0) / 40 })
      })
  }

  private static let file = GoldenPlot.folder.appending(path: "token-map.svg")

  @Test func `matches the recorded file`() throws {
    let text = Self.map.svg()
    if ProcessInfo.processInfo.environment["SLUICE_RECORD"] != nil {
      try text.write(to: Self.file, atomically: true, encoding: .utf8)
    }
    let recorded = try String(contentsOf: Self.file, encoding: .utf8)
    #expect(text == recorded, "run the tests with SLUICE_RECORD=1 if the change is meant, and look at the picture")
    #expect(XMLReader().read(text))
    #expect(text.utf8.count < 30_000, "a run of tokens is one stroke")
  }

  @Test(arguments: [
    (10, [0, 1, 2, 5, 9], [4: "M0 0.5h3m2 0h1m3 0h1"]),
    // Columns of two tokens: three full ones, one half held, one of a single token.
    (1119, Array(0..<6) + [8, 1118], [2: "M4 0.5h1", 4: "M0 0.5h3m556 0h1"]),
  ])
  func `marks are runs of columns`(tokens: Int, held: [Int], paths: [Int: String]) {
    let layer = TokenMap.Layer(held: [held], shares: [1], value: 0)
    let text = TokenMap(
      title: "", shareTitle: "", valueTitle: "", panels: [TokenMap.Panel("", tokens: tokens, layers: [layer])]
    ).svg()
    for (level, path) in paths {
      #expect(text.contains("o\(level)\" ") && text.contains("d=\"\(path)\""), "\(text)")
    }
    #expect(text.components(separatedBy: "class=\"mark").count - 1 == paths.count)
  }

  @Test func `nothing at all and strange values are still a figure`() {
    var map = Self.map
    map.panels = []
    #expect(XMLReader().read(map.svg()))
    map.panels = [
      TokenMap.Panel("none", tokens: 0, layers: []),
      TokenMap.Panel("odd", tokens: 3, layers: [.init(held: [[0], []], shares: [.nan, 7], value: .infinity)]),
    ]
    let text = map.svg()
    #expect(XMLReader().read(text) && !text.contains("nan") && !text.contains("inf"))
  }
}
