import Evaluation
import ModelJSON
import SessionStore

/// The experiments with kept sessions as tables for a terminal.
enum SessionTables {
  struct EngineRow {
    let name: String
    let tiers: (memory: Int, disk: Int)?
    let result: SessionReplay.Result

    var json: JSONValue {
      [
        "policy": .string(name), "memory_bytes": JSONValue(tiers?.memory ?? 0),
        "disk_bytes": JSONValue(tiers?.disk ?? 0), "turns": JSONValue(result.turns),
        "returning": JSONValue(result.returning), "hits": JSONValue(result.hits),
        "memory_hits": JSONValue(result.memoryHits), "hit_rate": .number(result.hitRate),
        "first_token_seconds": .number(result.meanFirstToken), "prompt_tokens": JSONValue(result.promptTokens),
        "computed_tokens": JSONValue(result.computedTokens),
        "prefetches": JSONValue(result.statistics?.prefetches ?? 0),
        "saved_bytes": JSONValue(result.statistics?.savedBytes ?? 0),
      ]
    }
  }

  private static func percent(_ share: Double) -> String { HumanReadable.decimal(100 * share, places: 1) + " %" }

  private static func milliseconds(_ seconds: Double) -> String {
    HumanReadable.decimal(seconds * 1000, places: seconds < 0.1 ? 1 : 0) + " ms"
  }

  /// How much sooner and faster than without a store.
  private static func gains(_ seconds: Double, _ rate: Double, over base: (seconds: Double, rate: Double)) -> [String] {
    [
      base.seconds > 0 ? percent(seconds / base.seconds - 1) : "",
      base.rate > 0 ? HumanReadable.decimal(rate / base.rate, places: 1) + "x" : "",
    ]
  }

  static func table(_ rows: [SessionPolicies.Row]) -> TextTable {
    var table = TextTable(
      [.init("policy")]
        + ["disk", "hits", "from memory", "first token", "against recompute", "prefill", "busy"].map {
          .init($0, .trailing)
        })
    let base = rows.first { $0.policy == nil }?.result
    for row in rows {
      let result = row.result
      table.append(
        [
          row.name, row.policy == nil ? "" : HumanReadable.decimal(row.diskBytes / 1e9, places: 0) + " GB",
          percent(result.hitRate), percent(result.memoryShare), milliseconds(result.meanFirstToken),
        ]
          + gains(
            result.meanFirstToken, result.prefillRate,
            over: (base?.meanFirstToken ?? 0, base?.prefillRate ?? 0))
          + [HumanReadable.decimal(result.busySeconds, places: 0) + " s"])
    }
    return table
  }

  static func table(_ rows: [EngineRow]) -> TextTable {
    var table = TextTable(
      [.init("policy")]
        + ["memory", "disk", "hits", "from memory", "first token", "against recompute", "prefill", "computed"].map {
          .init($0, .trailing)
        })
    let base = rows.first { $0.tiers == nil }?.result
    for row in rows {
      let result = row.result
      table.append(
        [
          row.name, row.tiers.map { HumanReadable.bytes($0.memory) } ?? "",
          row.tiers.map { HumanReadable.bytes($0.disk) } ?? "", percent(result.hitRate),
          percent(Double(result.memoryHits) / Double(max(1, result.hits))), milliseconds(result.meanFirstToken),
        ]
          + gains(
            result.meanFirstToken, result.prefillRate,
            over: (base?.meanFirstToken ?? 0, base?.prefillRate ?? 0))
          + [HumanReadable.tokens(result.computedTokens)])
    }
    return table
  }

  static func text(_ measurement: LoadingMeasurement, _ options: LoadingMeasurement.Options) -> String {
    """
    session   \(HumanReadable.tokens(options.tokens)), \(HumanReadable.bytes(measurement.bytes)), \
    \(measurement.layers) layers
    loading   \(milliseconds(measurement.loadSeconds)), throttled
    computing \(milliseconds(measurement.computeSeconds)) for \(HumanReadable.tokens(options.new)), \
    \(milliseconds(measurement.recomputeSeconds)) for all
    rule      \(measurement.ruleLead) layers ahead


    """
  }

  static func table(_ measurement: LoadingMeasurement) -> TextTable {
    var table = TextTable(
      ["layers ahead", "from the request", "predicted", "of the model", "predicted"].map { .init($0, .trailing) })
    for row in measurement.rows {
      table.append(
        ["\(row.lead)"]
          + [row.request.measured, row.request.predicted, row.model.measured, row.model.predicted].map(milliseconds))
    }
    return table
  }
}
