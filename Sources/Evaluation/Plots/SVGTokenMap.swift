/// Lays a token map out and writes it, from top to bottom.
struct SVGTokenMap {
  private let map: TokenMap
  private let labels: Double
  private let values: PlotScale
  private var body: [String] = []
  private var y = 0.0

  private static let margin = 24.0
  private static let gap = 32.0
  private static let tokensWidth = 560.0
  private static let barWidth = 110.0
  private static let shares = PlotScale(axis: Plot.Axis("", range: 0...1), values: [], rounded: false)

  init(_ map: TokenMap) {
    self.map = map
    let layers = map.panels.map(\.layers.count).max() ?? 0
    // The axis title stands upright beside the labels.
    labels = (24 + SVGText.width("\(max(layers - 1, 0))", size: 12) + 8).rounded(.up)
    values = PlotScale(
      axis: Plot.Axis("", includesZero: true), values: map.panels.flatMap { $0.layers.map(\.value) }, rounded: true)
    body += SVGText.headings(title: map.title, subtitle: map.subtitle, x: Self.margin, y: &y)
    for panel in map.panels { write(panel) }
    y += 14
  }

  private var left: Double { Self.margin + labels }
  private var sharesLeft: Double { left + Self.tokensWidth + Self.gap }
  private var valuesLeft: Double { sharesLeft + Self.barWidth + Self.gap }

  var text: String {
    let width = valuesLeft + Self.barWidth + Self.margin + 6
    return SVGText.document(title: map.title, width: width, height: y, styles: [Self.sheet], body: body)
  }

  /// Marks are strokes as high as a row, in units of a row and a column or a thousandth of a bar.
  private static let sheet: String = {
    let opacities = (1...TokenColumns.levels).map { level in
      ".o\(level){stroke-opacity:\(Ticks.plain(Double(level) / Double(TokenColumns.levels), decimals: 2))}"
    }
    return """
      <style>
      .mark{fill:none;stroke-width:1;shape-rendering:crispEdges}.bar{fill:none;stroke-width:.86}
      \(opacities.joined())
      </style>
      """
  }()

  private mutating func write(_ panel: TokenMap.Panel) {
    let heads = panel.layers.flatMap(\.held)
    let rowHeight = min(max(280 / Double(max(heads.count, 1)), 1), 10)
    let height = Double(max(heads.count, 1)) * rowHeight
    y += 34
    write(panel.title, x: Self.margin, y: y, style: "ink", attributes: "font-size=\"13\" font-weight=\"600\"")
    let shares = panel.layers.flatMap(\.shares)
    let titles = [(map.shareTitle, shares, sharesLeft), (map.valueTitle, panel.layers.map(\.value), valuesLeft)]
    for (title, values, x) in titles where !title.isEmpty {
      write(title + Self.mean(values), x: x, y: y, style: "quiet", attributes: "font-weight=\"600\"")
    }
    let top = y + 10
    y = top + height
    let tokens = PlotScale(
      axis: Plot.Axis("", unit: .count, range: 0...Double(max(panel.tokens, 1))), values: [], rounded: false)
    writeAxis(tokens, x: left, width: Self.tokensWidth, top: top)
    writeAxis(Self.shares, x: sharesLeft, width: Self.barWidth, top: top, onlyEnds: true)
    writeAxis(values, x: valuesLeft, width: Self.barWidth, top: top, onlyEnds: true)
    writeLayerNames(panel, top: top, rowHeight: rowHeight)

    let columns = TokenColumns(tokens: panel.tokens, atMost: Int(Self.tokensWidth))
    for level in 1...TokenColumns.levels {
      let path = heads.enumerated().map { columns.path(of: $1, row: $0, level: level) }.joined()
      writeRows(
        path, style: "mark \(SVGStyle.stroke(2)) o\(level)", x: left, y: top,
        scale: (Self.tokensWidth / columns.count, rowHeight))
    }
    writeRows(
      shares.enumerated().map { bar(Self.shares.fraction($1), row: $0) }.joined(),
      style: "bar \(SVGStyle.stroke(3))", x: sharesLeft, y: top, scale: (Self.barWidth / 1000, rowHeight))
    let rowsOfLayer = Double(panel.layers.first?.held.count ?? 1)
    writeRows(
      panel.layers.enumerated().map { bar(values.fraction($1.value), row: $0) }.joined(),
      style: "bar \(SVGStyle.stroke(1))", x: valuesLeft, y: top,
      scale: (Self.barWidth / 1000, rowHeight * rowsOfLayer))
    y += 36
    write(
      "token of the text", x: left + Self.tokensWidth / 2, y: y, style: "quiet",
      attributes: "text-anchor=\"middle\" font-weight=\"600\"")
  }

  private static func mean(_ values: [Double]) -> String {
    let mean = values.reduce(0, +) / Double(values.count)
    return mean.isFinite ? " " + Ticks.plain(mean, decimals: 2) : ""
  }

  /// Grid and labels of an axis whose area ends at `y`.
  private mutating func writeAxis(
    _ scale: PlotScale, x: Double, width: Double, top: Double, onlyEnds: Bool = false
  ) {
    for (index, tick) in scale.ticks.enumerated() {
      guard let fraction = scale.fraction(tick.value) else { continue }
      let place = x + fraction * width
      body.append("<path class=\"grid\" d=\"M\(number(place)) \(number(top))V\(number(y))\"/>")
      guard !onlyEnds || index == 0 || index == scale.ticks.count - 1 else { continue }
      write(tick.label, x: place, y: y + 16, style: "quiet", attributes: "text-anchor=\"middle\"")
    }
    body.append("<path class=\"base\" d=\"M\(number(x)) \(number(y))h\(number(width))\"/>")
  }

  private mutating func writeLayerNames(_ panel: TokenMap.Panel, top: Double, rowHeight: Double) {
    guard let heads = panel.layers.first?.held.count, heads > 0 else { return }
    let height = Double(heads) * rowHeight
    let step = [1, 2, 5, 10, 20, 50].first { Double($0) * height >= 14 } ?? 100
    for layer in stride(from: 0, to: panel.layers.count, by: step) {
      write(
        "\(layer)", x: left - 8, y: top + (Double(layer) + 0.5) * height + 4, style: "quiet",
        attributes: "text-anchor=\"end\"")
    }
    let (x, middle) = (Self.margin + 10, (top + y) / 2)
    write(
      "layer", x: x, y: middle, style: "quiet",
      attributes:
        "text-anchor=\"middle\" font-weight=\"600\" transform=\"rotate(-90 \(number(x)) \(number(middle)))\"")
  }

  /// A path in units of rows.
  private mutating func writeRows(
    _ path: String, style: String, x: Double, y: Double, scale: (x: Double, y: Double)
  ) {
    guard !path.isEmpty else { return }
    let scale = "\(Ticks.plain(scale.x, decimals: 6)) \(Ticks.plain(scale.y, decimals: 6))"
    let place = "transform=\"translate(\(number(x)) \(number(y))) scale(\(scale))\""
    body.append("<path class=\"\(style)\" \(place) d=\"\(path)\"/>")
  }

  private func bar(_ fraction: Double?, row: Int) -> String {
    let length = Int((min(max(fraction ?? 0, 0), 1) * 1000).rounded())
    return length == 0 ? "" : "M0 \(row).5h\(length)"
  }

  private mutating func write(_ text: String, x: Double, y: Double, style: String, attributes: String) {
    body += SVGText.element(text, x: x, y: y, style: style, attributes: attributes)
  }

  private func number(_ value: Double) -> String { SVGText.coordinate(value) }
}

/// The columns of a token map: one a token, or of several tokens each where a text has more than fit.
struct TokenColumns {
  /// Shades of a column, by the share of its tokens that are held.
  static let levels = 4

  private let tokens: Int
  private let size: Int

  init(tokens: Int, atMost limit: Int) {
    self.tokens = tokens
    size = max(1, (tokens + limit - 1) / limit)
  }

  /// The columns in all; the last one may be a part of one.
  var count: Double { max(Double(tokens) / Double(size), 1) }

  /// Strokes over the columns of one row that have the given shade.
  func path(of held: [Int], row: Int, level: Int) -> String {
    var path = ""
    var end = 0
    func close(_ run: Range<Int>) {
      guard !run.isEmpty else { return }
      path += path.isEmpty ? "M\(run.lowerBound) \(row).5h\(run.count)" : "m\(run.lowerBound - end) 0h\(run.count)"
      end = run.upperBound
    }
    var run = 0..<0
    var index = 0
    while index < held.count {
      let column = held[index] / size
      let next = held[index...].firstIndex { $0 / size != column } ?? held.count
      let width = min(size, tokens - column * size)
      if (Self.levels * (next - index) + width - 1) / width == level {
        if run.isEmpty || run.upperBound != column {
          close(run)
          run = column..<column
        }
        run = run.lowerBound..<column + 1
      }
      index = next
    }
    close(run)
    return path
  }
}
