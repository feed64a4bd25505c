import Evaluation
import Kernels
import ModelJSON

/// Measurements as lines for people and as JSON with fixed keys.
struct BenchReport {
  /// One object; limits without an instruction are null.
  func json(_ limits: MachineLimits) -> JSONValue {
    [
      "threads": JSONValue(limits.threads), "instructionSet": JSONValue(limits.instructionSet),
      "readBandwidth": JSONValue(limits.readBandwidth), "float32": JSONValue(limits.float32),
      "bfloat16": limits.bfloat16.map { JSONValue($0) } ?? .null, "int8": limits.int8.map { JSONValue($0) } ?? .null,
    ]
  }

  /// One line a limit.
  func text(_ limits: MachineLimits) -> String {
    let peak = { (value: Double?, unit: String) in
      value.map { "\(gigas($0)) \(unit)" } ?? "no instruction for it"
    }
    return """
      threads  \(limits.threads) (\(limits.instructionSet))
      read     \(gigas(limits.readBandwidth)) GB/s from memory
      FP32     \(peak(limits.float32, "GFLOP/s"))
      BF16     \(peak(limits.bfloat16, "GFLOP/s"))
      INT8     \(peak(limits.int8, "GOP/s"))

      """
  }

  /// One object: the keys that docs/design.md fixes, then what came later.
  func json(_ run: SpeedRun, model: String, depth: Int, cache: String) -> JSONValue {
    var object = JSONObject()
    let members: KeyValuePairs<String, JSONValue> = [
      "model": JSONValue(model), "threads": JSONValue(run.limits.threads), "depth": JSONValue(depth),
      "cache": JSONValue(cache), "prefillTokensPerSecond": JSONValue(run.prefillTokensPerSecond),
      "decodeTokensPerSecond": JSONValue(run.decodeTokensPerSecond),
      "readBandwidth": JSONValue(run.limits.readBandwidth), "fractionOfLimit": JSONValue(run.fractionOfLimit),
      "prefillFractionOfLimit": JSONValue(run.prefillFractionOfLimit),
    ]
    for (key, value) in members { object[key] = value }
    if let rate = run.batchedDecodeTokensPerSecond, let share = run.batchedFractionOfLimit {
      object["sequences"] = JSONValue(run.sequences)
      object["batchedDecodeTokensPerSecond"] = JSONValue(rate)
      object["batchedFractionOfLimit"] = JSONValue(share)
    }
    return .object(object)
  }

  /// One line a figure, with its share of the limit.
  func text(_ run: SpeedRun) -> String {
    let bandwidth = "\(gigas(run.limits.readBandwidth)) GB/s that this machine reads"
    var text = """
      prefill  \(HumanReadable.rate(tokensPerSecond: run.prefillTokensPerSecond)), \
      \(percent(run.prefillFractionOfLimit)) of what this machine multiplies
      decode   \(HumanReadable.rate(tokensPerSecond: run.decodeTokensPerSecond)), \
      \(percent(run.fractionOfLimit)) of the \(bandwidth)

      """
    if let rate = run.batchedDecodeTokensPerSecond, let share = run.batchedFractionOfLimit {
      text += """
        decode   \(HumanReadable.rate(tokensPerSecond: rate)) in \(run.sequences) sequences together, \
        \(percent(share)) of the \(bandwidth)

        """
    }
    return text
  }

  /// One object; operations and shares are null where they mean nothing.
  func json(_ row: KernelRun.Row) -> JSONValue {
    let number = { (value: Double?) in value.map { JSONValue($0) } ?? .null }
    return [
      "kernel": JSONValue(row.kernel), "shape": JSONValue(row.shape), "type": JSONValue(row.type),
      "bytesPerSecond": JSONValue(row.bytesPerSecond), "fractionOfBandwidth": number(row.fractionOfBandwidth),
      "operationsPerSecond": number(row.operationsPerSecond), "fractionOfPeak": number(row.fractionOfPeak),
    ]
  }

  /// One row a kernel; each share stands behind its figure.
  func table(_ rows: [KernelRun.Row]) -> TextTable {
    var table = TextTable([
      .init("kernel"), .init("shape"), .init("type"), .init("GB/s", .trailing), .init("of read", .trailing),
      .init("GFLOP/s", .trailing), .init("of peak", .trailing),
    ])
    for row in rows {
      table.append([
        row.kernel, row.shape, row.type, gigas(row.bytesPerSecond), row.fractionOfBandwidth.map(percent) ?? "-",
        row.operationsPerSecond.map(gigas) ?? "-", row.fractionOfPeak.map(percent) ?? "-",
      ])
    }
    return table
  }

  private func gigas(_ value: Double) -> String { HumanReadable.decimal(value / 1e9, places: 1) }
  private func percent(_ share: Double) -> String { HumanReadable.decimal(share * 100, places: 0) + " %" }
}
