extension Plot {
  /// The figure as the text of an SVG file: the same bytes for the same plot on every machine.
  ///
  /// Colours follow the reader's light or dark mode. The legend stands above the panels, so it never covers data.
  package func svg(width: Double = 860) -> String { SVGPlot(self, width: width).text }
}

/// Lays a plot out and writes it, from top to bottom.
private struct SVGPlot {
  let plot: Plot
  let width: Double
  let labels: [String]
  let xScale: PlotScale
  let yScales: [PlotScale]
  let left: Double
  let right: Double
  let flags: PlotFlags
  private(set) var body: [String] = []
  private var y = 0.0

  init(_ plot: Plot, width: Double) {
    self.plot = plot
    self.width = width
    var labels: [String] = []
    for panel in plot.panels {
      for label in panel.lines.map(\.label) + panel.bands.map(\.label) where !labels.contains(label) {
        labels.append(label)
      }
    }
    self.labels = labels
    // A point that its panel cannot draw must not stretch the shared axis either.
    let x = plot.panels.flatMap { panel in
      panel.lines.flatMap { line in
        line.points.filter { PlotScale.canDraw($0.y, on: panel.axis.scale) }.map(\.x)
      } + panel.bands.flatMap(\.x)
    }
    xScale = PlotScale(axis: plot.xAxis, values: x, rounded: false)
    yScales = plot.panels.map { panel in
      let values = panel.lines.flatMap { $0.points.map(\.y) } + panel.bands.flatMap { $0.lower + $0.upper }
      return PlotScale(axis: panel.axis, values: values, rounded: true)
    }
    let tickWidth = yScales.flatMap(\.ticks).map { SVGText.width($0.label, size: 12) }.max() ?? 0
    left = max(tickWidth + 28, 56).rounded(.up)
    right = width - 30
    let (start, span, scale) = (left, right - left, xScale)
    let markers = plot.markers.compactMap { marker in
      scale.fraction(marker.x).flatMap { (0...1).contains($0) ? (x: start + $0 * span, label: marker.label) : nil }
    }
    let titleWidth = SVGText.width(plot.panels.first?.axis.title ?? "", size: 12.5)
    flags = PlotFlags(markers, from: 24 + titleWidth + 12, to: width - 12)

    body += SVGText.headings(title: plot.title, subtitle: plot.subtitle, x: 24, y: &y)
    writeLegend()
    for index in plot.panels.indices { writePanel(index) }
    writeXAxis()
  }

  var text: String { SVGText.document(title: plot.title, width: width, height: y, body: body) }

  private mutating func writeLegend() {
    guard !labels.isEmpty else { return }
    y += 28
    var x = 24.0
    for (index, label) in labels.enumerated() {
      let entry = 38 + SVGText.width(label, size: 13)
      if x > 24, x + entry > right {
        x = 24
        y += 22
      }
      body.append(
        "<path class=\"line \(SVGStyle.line(index))\" d=\"M\(number(x)) \(number(y - 4.5))h30\"/>")
      write(label, x: x + 38, y: y, style: "ink", attributes: "font-size=\"13\"")
      x += entry + 24
    }
  }

  private mutating func writePanel(_ index: Int) {
    let panel = plot.panels[index]
    let yScale = yScales[index]
    y += index == 0 ? 34 : 40
    if index == 0 { y += flags.height }
    let titleLine = index == 0 && !flags.sparesTitle ? y - flags.height : y
    write(panel.axis.title, x: 24, y: titleLine, style: "quiet", attributes: "font-weight=\"600\"")
    for flag in flags.placed where index == 0 {
      write(
        flag.label, x: flag.textStart, y: y - flag.rise, style: "ink", attributes: "font-style=\"italic\"")
    }
    y += 13
    let top = y
    let bottom = top + panel.height
    y = bottom

    for tick in yScale.ticks {
      guard let fraction = yScale.fraction(tick.value) else { continue }
      let level = bottom - fraction * panel.height
      body.append("<path class=\"grid\" d=\"M\(number(left)) \(number(level))H\(number(right))\"/>")
      write(tick.label, x: left - 10, y: level + 4, style: "quiet", attributes: "text-anchor=\"end\"")
    }
    for flag in flags.placed {
      let start = index == 0 ? top - 13 - flag.rise - 10 : top - 8
      body.append("<path class=\"marker\" d=\"M\(number(flag.x)) \(number(start))V\(number(bottom))\"/>")
    }

    // Half a line's width more than the panel, so that a line along an edge is not cut in half.
    body.append(
      """
      <clipPath id="panel\(index)"><rect x="\(number(left - 4))" y="\(number(top - 4))" \
      width="\(number(right - left + 8))" height="\(number(panel.height + 8))"/></clipPath>
      <g clip-path="url(#panel\(index))">
      """)
    func pixel(_ point: Plot.Point) -> Plot.Point? {
      guard let x = xScale.fraction(point.x), let y = yScale.fraction(point.y) else { return nil }
      return Plot.Point(left + x * (right - left), bottom - y * panel.height)
    }
    for band in panel.bands {
      let style = SVGStyle.fill(labels.firstIndex(of: band.label) ?? 0)
      for outline in outlines(of: band, position: pixel) {
        body.append("<path class=\"band \(style)\" d=\"\(outline)\"/>")
      }
    }
    // Solid lines first, so that dashes stay visible where lines coincide.
    let styled = panel.lines.map { (line: $0, style: labels.firstIndex(of: $0.label) ?? 0) }
    for (line, style) in styled.filter({ SVGStyle.isSolid($0.style) }) + styled.filter({ !SVGStyle.isSolid($0.style) })
    {
      let path = PlotLinePath(line.points, position: pixel)
      guard let end = path.runs.last?.last else { continue }
      body.append("<path class=\"line \(SVGStyle.line(style))\" d=\"\(path.commands)\"/>")
      body.append(
        "<circle class=\"\(SVGStyle.fill(style))\" cx=\"\(number(end.x))\" cy=\"\(number(end.y))\" r=\"3\"/>")
    }
    body.append("</g>")
    let isLast = index == plot.panels.count - 1
    var base = "M\(number(left)) \(number(bottom))H\(number(right))"
    for tick in xScale.ticks {
      guard let fraction = xScale.fraction(tick.value) else { continue }
      base += "M\(number(left + fraction * (right - left))) \(number(bottom))v\(isLast ? 6 : 4)"
    }
    body.append("<path class=\"base\" d=\"\(base)\"/>")
  }

  private mutating func writeXAxis() {
    for tick in xScale.ticks {
      guard let fraction = xScale.fraction(tick.value) else { continue }
      write(
        tick.label, x: left + fraction * (right - left), y: y + 22, style: "quiet", attributes: "text-anchor=\"middle\""
      )
    }
    y += 46
    write(
      plot.xAxis.title, x: (left + right) / 2, y: y, style: "quiet",
      attributes: "text-anchor=\"middle\" font-weight=\"600\"")
    y += 18
  }

  private mutating func write(_ text: String, x: Double, y: Double, style: String, attributes: String) {
    body += SVGText.element(text, x: x, y: y, style: style, attributes: attributes)
  }

  private func number(_ value: Double) -> String { SVGText.coordinate(value) }

  /// Closed paths around the drawable runs of a band.
  private func outlines(of band: Plot.Band, position: (Plot.Point) -> Plot.Point?) -> [String] {
    var outlines: [String] = []
    var lower: [Plot.Point] = []
    var upper: [Plot.Point] = []
    for index in 0...band.x.count {
      if index < band.x.count, let low = position(Plot.Point(band.x[index], band.lower[index])),
        let high = position(Plot.Point(band.x[index], band.upper[index]))
      {
        lower.append(low)
        upper.append(high)
      } else {
        let outline = PlotLinePath(upper + lower.reversed(), position: { $0 }).commands
        if lower.count > 1 { outlines.append(outline + "Z") }
        (lower, upper) = ([], [])
      }
    }
    return outlines
  }
}
