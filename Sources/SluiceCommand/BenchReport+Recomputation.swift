import Evaluation
import ModelJSON

extension BenchReport {
  /// One object a window.
  func json(_ row: RecomputationRun.Row) -> JSONValue {
    [
      "window": JSONValue(row.window), "recomputationSecondsPerToken": JSONValue(row.recomputationSeconds),
      "streamSecondsPerToken": JSONValue(row.streamSeconds), "ratio": JSONValue(row.ratio),
    ]
  }

  /// One row a window, milliseconds of a token.
  func table(_ rows: [RecomputationRun.Row]) -> TextTable {
    var table = TextTable([
      .init("window", .trailing), .init("computed anew, ms/token", .trailing), .init("streamed, ms/token", .trailing),
      .init("ratio", .trailing),
    ])
    for row in rows {
      let milliseconds = { (seconds: Double) in HumanReadable.decimal(seconds * 1000, places: 2) }
      table.append([
        HumanReadable.count(row.window), milliseconds(row.recomputationSeconds), milliseconds(row.streamSeconds),
        HumanReadable.decimal(row.ratio, places: 1),
      ])
    }
    return table
  }
}
