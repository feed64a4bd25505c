import Evaluation
import ModelJSON

extension BenchReport {
  /// One object; the exact attention's share is null where the cache is exact itself.
  func json(
    _ result: AttentionLayerRun.Result, cache: String, heads: AttentionHeads, options: AttentionLayerRun.Options
  ) -> JSONValue {
    [
      "cache": JSONValue(cache), "heads": JSONValue(heads.description), "tokens": JSONValue(options.tokens),
      "chunk": JSONValue(options.chunk), "seconds": JSONValue(result.seconds),
      "partSeconds": .array(result.partSeconds.map { JSONValue($0) }),
      "exactSeconds": result.exactSeconds.map { JSONValue($0) } ?? .null,
      "ratio": result.exactSeconds.map { JSONValue($0 / result.seconds) } ?? .null,
    ]
  }

  /// What the whole prompt took, what its parts took, and exact attention beside it.
  func text(
    _ result: AttentionLayerRun.Result, cache: String, heads: AttentionHeads, options: AttentionLayerRun.Options
  ) -> String {
    let seconds = { (value: Double) in HumanReadable.decimal(value, places: 2) }
    var text = """
      one layer of \(heads) over \(HumanReadable.count(options.tokens)) tokens in chunks of \(options.chunk), cache \(cache)
      seconds  \(seconds(result.seconds)), by tenths of the prompt \
      \(result.partSeconds.map(seconds).joined(separator: " "))

      """
    if let exact = result.exactSeconds {
      text += """
        exact    \(seconds(exact)) (from \(options.samples) chunks at even depths), \
        \(HumanReadable.decimal(exact / result.seconds, places: 1)) times as long

        """
    }
    return text
  }
}
