import Evaluation
import ModelJSON

/// What `sluice evaluate recall` prints and draws.
struct RecallReport {
  /// The cells that get a line of their own, and that are drawn.
  let grid: RecallGrid?

  /// One object for the cache, or one for each of its cells.
  func jsonLines(_ result: RecallResult) -> [String] {
    func object(_ score: RecallScore, _ place: [(String, JSONValue)]) -> String {
      var object = JSONObject()
      let members: [(String, JSONValue)] =
        [("cache", JSONValue(result.cache))] + place + [
          ("cases", JSONValue(score.cases)), ("exactMatch", JSONValue(score.exactMatch)),
          ("exactMatchLower", JSONValue(score.interval.lower)), ("exactMatchUpper", JSONValue(score.interval.upper)),
          ("digitAccuracy", JSONValue(score.digitAccuracy)), ("cacheBytesPeak", JSONValue(result.cacheBytesPeak)),
        ]
      for (key, value) in members { object[key] = value }
      return JSONValue.object(object).text
    }
    guard let grid else { return [object(result.score, [])] }
    return measured(result, grid).map { point, score in
      let place: (String, JSONValue) =
        switch grid.places {
        case .depths(let depths): ("depth", JSONValue(depths[point.place]))
        case .linesBack(let lines): ("linesBack", JSONValue(lines[point.place]))
        }
      return object(score, [("length", JSONValue(grid.lengths[point.length])), place])
    }
  }

  func table(_ results: [RecallResult]) -> TextTable {
    let place: [TextTable.Column] = grid.map { [.init("tokens", .trailing), .init(placeTitle($0), .trailing)] } ?? []
    var table = TextTable(
      [.init("cache")] + place + [
        .init("cases", .trailing), .init("digits", .trailing), .init("exact match", .trailing),
        .init("95 % interval", .trailing), .init("cache memory", .trailing),
      ])
    func append(_ result: RecallResult, _ score: RecallScore, _ place: [String], memory: String) {
      table.append(
        [result.cache] + place + [
          HumanReadable.count(score.cases), HumanReadable.decimal(score.digitAccuracy, places: 3),
          HumanReadable.decimal(score.exactMatch, places: 3),
          HumanReadable.decimal(score.interval.lower, places: 2) + "–"
            + HumanReadable.decimal(score.interval.upper, places: 2), memory,
        ])
    }
    for result in results {
      if let grid {
        let (lengths, places) = (lengthLabels(grid), placeLabels(grid))
        for (point, score) in measured(result, grid) {
          append(result, score, [lengths[point.length], places[point.place]], memory: "")
        }
      }
      append(
        result, result.score, grid == nil ? [] : ["all", "all"], memory: HumanReadable.bytes(result.cacheBytesPeak))
    }
    return table
  }

  /// Digit accuracy, a panel for every cache.
  func plot(_ results: [RecallResult], title: String) -> HeatMap {
    let grid = grid ?? RecallGrid(lengths: [], places: .depths([]))
    let perCell = Set(results.flatMap { $0.scores.values.map(\.cases) })
    let cases = [perCell.min(), perCell.max()].compactMap { $0 }
    let range = Set(cases).sorted().map { HumanReadable.count($0) }.joined(separator: " to ")
    return HeatMap(
      title: "Recall: " + title, subtitle: range == "1" ? "1 case a cell" : "\(range) cases a cell",
      valueTitle: "share of right digits",
      columnTitle: isStream(grid) ? "stream up to (tokens)" : "prompt (tokens)", columns: lengthLabels(grid),
      rowTitle: placeTitle(grid), rows: placeLabels(grid),
      panels: results.map { result in
        HeatMap.Panel(
          result.cache,
          values: (0..<grid.places.count).map { place in
            grid.lengths.indices.map { length in
              result.scores[RecallGrid.Point(length: length, place: place)]?.digitAccuracy
            }
          })
      })
  }

  private func measured(_ result: RecallResult, _ grid: RecallGrid) -> [(RecallGrid.Point, RecallScore)] {
    grid.points.compactMap { point in result.scores[point].map { (point, $0) } }
  }

  private func isStream(_ grid: RecallGrid) -> Bool {
    if case .linesBack = grid.places { true } else { false }
  }

  private func placeTitle(_ grid: RecallGrid) -> String { isStream(grid) ? "lines back" : "depth" }

  private func lengthLabels(_ grid: RecallGrid) -> [String] { grid.lengths.map { HumanReadable.count($0) } }

  private func placeLabels(_ grid: RecallGrid) -> [String] {
    switch grid.places {
    case .depths(let depths): depths.map { Int(exactly: $0).map { "\($0)" } ?? "\($0)" }
    case .linesBack(let lines): lines.map { HumanReadable.count($0) }
    }
  }
}
