/// Lays a heat map out and writes it, from top to bottom.
struct SVGHeatMap {
  private let map: HeatMap
  private let cell: (width: Double, height: Double)
  private let rowLabels: Double
  private let panelsPerRow: Int
  private let width: Double
  private var body: [String] = []
  private var y = 0.0

  private static let margin = 24.0
  private static let gap = 36.0
  private static let swatch = 18.0

  init(_ map: HeatMap, width: Double) {
    self.map = map
    cell = (max(54, (map.columns.map { SVGText.width($0, size: 12) }.max() ?? 0) + 10).rounded(.up), 30)
    // The title of the rows stands upright beside their labels.
    rowLabels = (24 + (map.rows.map { SVGText.width($0, size: 12) }.max() ?? 0) + 8).rounded(.up)
    let titles = map.panels.map { SVGText.width($0.title, size: 13) }.max() ?? 0
    let panel = max(rowLabels + Double(map.columns.count) * cell.width, titles)
    let fitting = max(1, Int((width - 2 * Self.margin + Self.gap) / (panel + Self.gap)))
    panelsPerRow = min(fitting, max(map.panels.count, 1))
    let panels = Double(panelsPerRow) * (panel + Self.gap) - Self.gap
    let texts = max(
      SVGText.width(map.title, size: 17), SVGText.width(map.subtitle, size: 13),
      Double(SVGHeatStyle.steps + 1) * Self.swatch + SVGText.width(map.valueTitle, size: 12) + 60)
    self.width = (max(panels, texts) + 2 * Self.margin).rounded(.up)
    panelWidth = panel

    body += SVGText.headings(title: map.title, subtitle: map.subtitle, x: Self.margin, y: &y)
    writeLegend()
    for first in stride(from: 0, to: map.panels.count, by: panelsPerRow) {
      writeRow(map.panels[first..<min(first + panelsPerRow, map.panels.count)])
    }
    y += Self.margin - 6
  }

  private let panelWidth: Double

  var text: String {
    SVGText.document(title: map.title, width: width, height: y, styles: [SVGHeatStyle.sheet], body: body)
  }

  /// One swatch a step, from 0 to 1.
  private mutating func writeLegend() {
    y += 28
    write("0", x: Self.margin, y: y, style: "quiet")
    let start = Self.margin + 14
    for step in 0...SVGHeatStyle.steps {
      rectangle(
        SVGHeatStyle.fill(step), x: start + Double(step) * Self.swatch, y: y - 11, width: Self.swatch, height: 14)
    }
    let end = start + Double(SVGHeatStyle.steps + 1) * Self.swatch
    write("1", x: end + 7, y: y, style: "quiet")
    write(map.valueTitle, x: end + 26, y: y, style: "quiet")
  }

  private mutating func writeRow(_ panels: ArraySlice<HeatMap.Panel>) {
    y += 34
    let top = y + 10
    let tableHeight = Double(map.rows.count) * cell.height
    let tableWidth = Double(map.columns.count) * cell.width
    for (index, panel) in panels.enumerated() {
      let start = Self.margin + Double(index) * (panelWidth + Self.gap)
      let left = start + rowLabels
      write(panel.title, x: start, y: y, style: "ink", attributes: "font-size=\"13\" font-weight=\"600\"")
      for (row, label) in map.rows.enumerated() {
        let middle = top + (Double(row) + 0.5) * cell.height
        write(label, x: left - 8, y: middle + 4, style: "quiet", attributes: "text-anchor=\"end\"")
        for (column, value) in panel.values[row].enumerated() {
          write(value, x: left + Double(column) * cell.width, y: top + Double(row) * cell.height)
        }
      }
      for (column, label) in map.columns.enumerated() {
        write(
          label, x: left + (Double(column) + 0.5) * cell.width, y: top + tableHeight + 16, style: "quiet",
          attributes: "text-anchor=\"middle\"")
      }
      write(
        map.columnTitle, x: left + tableWidth / 2, y: top + tableHeight + 36, style: "quiet",
        attributes: "text-anchor=\"middle\" font-weight=\"600\"")
      let middle = "\(SVGText.coordinate(start + 12)) \(SVGText.coordinate(top + tableHeight / 2))"
      write(
        map.rowTitle, x: start + 12, y: top + tableHeight / 2, style: "quiet",
        attributes: "text-anchor=\"middle\" font-weight=\"600\" transform=\"rotate(-90 \(middle))\"")
    }
    y = top + tableHeight + 38
  }

  /// A cell with its number, the corners given.
  private mutating func write(_ value: Double?, x: Double, y: Double) {
    let step = value.flatMap { $0.isFinite ? SVGHeatStyle.step($0) : nil }
    rectangle(
      step.map { SVGHeatStyle.fill($0) } ?? SVGHeatStyle.empty, x: x + 1, y: y + 1, width: cell.width - 2,
      height: cell.height - 2)
    write(
      step == nil ? "–" : Ticks.plain(value ?? 0, decimals: 2), x: x + cell.width / 2, y: y + cell.height / 2 + 4,
      style: step.map { SVGHeatStyle.ink($0) } ?? "quiet", attributes: "text-anchor=\"middle\"")
  }

  private mutating func rectangle(_ style: String, x: Double, y: Double, width: Double, height: Double) {
    let (x, y) = (SVGText.coordinate(x), SVGText.coordinate(y))
    let size = "width=\"\(SVGText.coordinate(width))\" height=\"\(SVGText.coordinate(height))\""
    body.append("<rect class=\"\(style)\" x=\"\(x)\" y=\"\(y)\" \(size)/>")
  }

  private mutating func write(_ text: String, x: Double, y: Double, style: String, attributes: String = "") {
    body += SVGText.element(text, x: x, y: y, style: style, attributes: attributes)
  }
}
