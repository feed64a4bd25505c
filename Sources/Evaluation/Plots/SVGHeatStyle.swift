/// The colours of cells: one hue from the paper to its strongest, so that more is told from less in grey too.
enum SVGHeatStyle {
  /// Colours are those of tenths.
  static let steps = 10

  static let empty = "cell"

  static func step(_ value: Double) -> Int { Int((min(max(value, 0), 1) * Double(steps)).rounded()) }

  static func fill(_ step: Int) -> String { "h\(step)" }

  /// The style of a number that stands on the colour.
  static func ink(_ step: Int) -> String { "n\(step)" }

  static let sheet: String = {
    var rules = [".cell{fill:none;stroke-width:1}"]
    rules += mode(colors: [0xEDF2F8, 0x86B6E2, 0x0A4788], empty: "#e3e7eb")
    rules.append("@media (prefers-color-scheme:dark){")
    rules += mode(colors: [0x18222E, 0x28629F, 0xA5D3FF], empty: "#262c34")
    rules.append("}")
    return "<style>\n" + rules.joined(separator: "\n") + "\n</style>"
  }()

  private static func mode(colors: [Int], empty: String) -> [String] {
    let steps = (0...steps).map { step in
      let channels = [16, 8, 0].map { shift in channel(step, colors.map { $0 >> shift & 0xFF }) }
      let color = "#" + channels.map { String($0 + 0x100, radix: 16).dropFirst() }.joined()
      let isLight = 299 * channels[0] + 587 * channels[1] + 114 * channels[2] > 130_000
      return ".h\(step){fill:\(color)}.n\(step){fill:\(isLight ? "#10161d" : "#ffffff")}"
    }
    return [steps.joined(), ".cell{stroke:\(empty)}"]
  }

  /// A colour channel on the way from the first over the second to the third.
  private static func channel(_ step: Int, _ ends: [Int]) -> Int {
    let half = steps / 2
    let (from, to, place) = step <= half ? (ends[0], ends[1], step) : (ends[1], ends[2], step - half)
    return (from * (half - place) + to * place) / half
  }
}
