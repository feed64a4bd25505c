/// A line as it is drawn: pixels, in runs without gaps.
struct PlotLinePath {
  private(set) var runs: [[Plot.Point]] = []

  /// The drawable part of `points`; a point without a position ends a run.
  ///
  /// Runs are thinned to what can be seen: of the points in one column of pixels the first, the lowest, the highest and
  /// the last, so that a line over a million tokens stays a small file and keeps its spikes. Linear time.
  init(_ points: [Plot.Point], position: (Plot.Point) -> Plot.Point?) {
    var run: [Plot.Point] = []
    var column: [Plot.Point] = []
    for point in points {
      guard let pixel = position(point) else {
        Self.close(&column, into: &run)
        if !run.isEmpty { runs.append(run) }
        run = []
        continue
      }
      if let first = column.first, first.x.rounded(.down) != pixel.x.rounded(.down) { Self.close(&column, into: &run) }
      column.append(pixel)
    }
    Self.close(&column, into: &run)
    if !run.isEmpty { runs.append(run) }
  }

  /// The commands of an SVG path.
  var commands: String {
    runs.map { run in
      var text = ""
      var previous = ""
      for point in run {
        let position = SVGText.coordinate(point.x) + " " + SVGText.coordinate(point.y)
        guard position != previous else { continue }
        text += (text.isEmpty ? "M" : "L") + position
        previous = position
      }
      return text
    }.joined()
  }

  private static func close(_ column: inout [Plot.Point], into run: inout [Plot.Point]) {
    defer { column.removeAll(keepingCapacity: true) }
    guard column.count > 4 else { return run.append(contentsOf: column) }
    var lowest = 0
    var highest = 0
    for index in column.indices {
      if column[index].y < column[lowest].y { lowest = index }
      if column[index].y > column[highest].y { highest = index }
    }
    for index in Set([0, lowest, highest, column.count - 1]).sorted() { run.append(column[index]) }
  }
}
