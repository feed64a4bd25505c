/// Colours and dashes: class names in the drawing, their meaning in one style sheet for light and dark mode.
enum SVGStyle {
  /// Distinct in both modes and for the common kinds of colour blindness (after Okabe and Ito, 2008); never only by colour:
  /// neighbours differ in their dashes too.
  private static let colors: [(light: String, dark: String)] = [
    ("#57606a", "#a5afba"), ("#d1480a", "#ff8f57"), ("#0a66c2", "#58a9ff"), ("#128a5c", "#3fcf97"),
    ("#8b46c4", "#c596f5"), ("#a87400", "#e3b341"), ("#c2307d", "#ff87bd"), ("#0e8a9c", "#47cfe0"),
  ]
  private static let dashes = ["", "7 5", "", "1 5", "10 5 1 5"]

  /// The classes of the line with this index in the legend: 40 different ones.
  static func line(_ index: Int) -> String { "s\(index % colors.count) d\(index % dashes.count)" }

  static func isSolid(_ index: Int) -> Bool { dashes[index % dashes.count].isEmpty }

  static func stroke(_ index: Int) -> String { "s\(index % colors.count)" }

  static func fill(_ index: Int) -> String { "f\(index % colors.count)" }

  static let sheet: String = {
    var rules = [
      ".line{fill:none;stroke-width:2.2;stroke-linejoin:round;stroke-linecap:round}",
      ".band{fill-opacity:.18}",
      ".grid{fill:none;stroke-width:1}",
      ".base{fill:none;stroke-width:1}",
      ".marker{fill:none;stroke-width:1.2;stroke-dasharray:4 3}",
    ]
    for (index, dash) in dashes.enumerated() where !dash.isEmpty {
      rules.append(".d\(index){stroke-dasharray:\(dash)}")
    }
    rules += mode(paper: "#ffffff", ink: "#1f2328", quiet: "#59636e", grid: "#e3e7eb", colors: colors.map(\.light))
    rules.append("@media (prefers-color-scheme:dark){")
    rules += mode(paper: "#0d1117", ink: "#e6edf3", quiet: "#9aa4ae", grid: "#262c34", colors: colors.map(\.dark))
    rules.append("}")
    return "<style>\n" + rules.joined(separator: "\n") + "\n</style>"
  }()

  private static func mode(paper: String, ink: String, quiet: String, grid: String, colors: [String]) -> [String] {
    [
      ".paper{fill:\(paper)}.ink{fill:\(ink)}.quiet{fill:\(quiet)}",
      ".grid{stroke:\(grid)}.base,.marker{stroke:\(quiet)}",
      colors.enumerated().map { ".s\($0){stroke:\($1)}.f\($0){fill:\($1)}" }.joined(),
    ]
  }
}
