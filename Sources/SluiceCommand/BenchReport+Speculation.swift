import Evaluation
import ModelJSON

extension BenchReport {
  /// One object a text.
  func json(_ row: SpeculationRun.Row) -> JSONValue {
    [
      "text": JSONValue(row.text), "temperature": JSONValue(row.temperature), "tokens": JSONValue(row.tokens),
      "plainTokensPerSecond": JSONValue(row.plainTokensPerSecond), "tokensPerSecond": JSONValue(row.tokensPerSecond),
      "ratio": JSONValue(row.ratio), "tokensPerStep": JSONValue(row.tokensPerStep), "guesses": JSONValue(row.guesses),
      "confirmedGuesses": JSONValue(row.confirmed), "equalTokens": JSONValue(row.equalTokens),
    ]
  }

  /// One row a text.
  func table(_ rows: [SpeculationRun.Row]) -> TextTable {
    var table = TextTable([
      .init("text"), .init("temperature", .trailing), .init("plain, tokens/s", .trailing),
      .init("guessing, tokens/s", .trailing), .init("ratio", .trailing), .init("tokens/step", .trailing),
      .init("guesses", .trailing), .init("came true", .trailing), .init("equal tokens", .trailing),
    ])
    for row in rows {
      table.append([
        row.text, HumanReadable.decimal(row.temperature, places: 1),
        HumanReadable.decimal(row.plainTokensPerSecond, places: 1),
        HumanReadable.decimal(row.tokensPerSecond, places: 1), HumanReadable.decimal(row.ratio, places: 2),
        HumanReadable.decimal(row.tokensPerStep, places: 2), HumanReadable.count(row.guesses),
        HumanReadable.count(row.confirmed), "\(row.equalTokens) of \(row.tokens)",
      ])
    }
    return table
  }
}
