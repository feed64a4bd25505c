import Foundation
import Kernels
import TestSupport
import Testing

/// What `bench` prints; how fast anything is depends on the machine and is no test's business.
@Suite struct BenchTests {
  /// Standard output of a measurement that goes well.
  private func bench(_ options: [String], withModel: Bool = true) throws -> String {
    try withTemporaryDirectory { folder in
      let model = withModel ? ["-m", try TinyModel().write(in: folder)] : []
      let result = try Sluice.run(["bench", "-t", "2"] + model + options)
      #expect(result.status == 0 && !result.crashed && result.error.isEmpty, "\(options): \(result.error)")
      return result.output
    }
  }

  private func object(_ line: some StringProtocol) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
  }

  private static let small = ["--prefill", "16", "--decode", "4"]
  private static let keys: Set = [
    "model", "threads", "depth", "cache", "prefillTokensPerSecond", "decodeTokensPerSecond", "readBandwidth",
    "fractionOfLimit", "prefillFractionOfLimit",
  ]

  @Test func `a model's speed is one object with fixed keys`() throws {
    let object = try object(bench(Self.small + ["--depth", "20", "--json"]))
    #expect(Set(object.keys) == Self.keys)
    #expect(object["depth"] as? Int == 20 && object["cache"] as? String == "full" && object["threads"] as? Int == 2)
    for key in Self.keys.filter({ $0.hasSuffix("PerSecond") || $0.hasSuffix("Limit") }) {
      let value = try #require(object[key] as? Double)
      #expect(value > 0 && value.isFinite, "\(key)")
    }
  }

  @Test func `sequences together have figures of their own, at a depth that nothing computed`() throws {
    let cache = ["--cache", "streaming-llm:4+508", "--depth", "1000000", "--fill"]
    let object = try object(bench(Self.small + cache + ["--sequences", "3", "--rounds", "2", "--json"]))
    #expect(
      Set(object.keys)
        == Self.keys.union(["sequences", "batchedDecodeTokensPerSecond", "batchedFractionOfLimit"]))
    #expect(object["sequences"] as? Int == 3 && object["depth"] as? Int == 1_000_000)
    for key in ["batchedDecodeTokensPerSecond", "batchedFractionOfLimit"] {
      #expect((object[key] as? Double ?? 0) > 0, "\(key)")
    }
  }

  @Test func `every figure for people has its share of a limit`() throws {
    let lines = try bench(Self.small + ["--sequences", "2"]).split(separator: "\n")
    #expect(lines.count == 4 && lines[0].contains("depth 0, cache full"), "\(lines)")
    for line in lines.dropFirst() { #expect(line.contains(" tokens/s") && line.contains(" % of "), "\(line)") }
    #expect(lines.last?.contains("2 sequences together") == true)
  }

  @Test func `the machine's limits are one object, null without an instruction`() throws {
    let object = try object(bench(["--machine", "--json"], withModel: false))
    #expect(Set(object.keys) == ["threads", "instructionSet", "readBandwidth", "float32", "bfloat16", "int8"])
    #expect(object["threads"] as? Int == 2 && object["instructionSet"] as? String == InstructionSet.current.name)
    #expect((object["bfloat16"] is NSNull) == !["avx512bf16", "neon-bf16"].contains(InstructionSet.current.name))
    let lines = try bench(["--machine"], withModel: false).split(separator: "\n")
    #expect(lines.map { $0.prefix { $0 != " " } } == ["threads", "read", "FP32", "BF16", "INT8"])
  }

  @Test func `kernels are rows with shape, type, rate and share`() throws {
    let sizes = ["--kernels", "--width", "256", "--prefill", "4", "--depth", "64", "--rounds", "1"]
    let rows = try bench(sizes + ["--json"], withModel: false).split(separator: "\n").map(object)
    for row in rows {
      #expect(
        Set(row.keys) == [
          "kernel", "shape", "type", "bytesPerSecond", "fractionOfBandwidth", "operationsPerSecond", "fractionOfPeak",
        ])
      let isOneRow = (row["shape"] as? String)?.hasSuffix("1 thread") == true
      for key in row.keys where key.hasSuffix("PerSecond") || key.hasPrefix("fraction") {
        let value = row[key] as? Double
        if isOneRow && key != "bytesPerSecond" { #expect(value == nil) } else { #expect(value ?? 0 > 0, "\(row)") }
      }
    }
    for type in ElementType.allCases {
      #expect(rows.count { $0["kernel"] as? String == "linear" && $0["type"] as? String == type.name } == 3)
    }
    #expect(Set(rows.compactMap { $0["kernel"] as? String }) == ["linear", "attention", "RMS norm", "softmax"])
  }

  @Test func `a recomputed window beside the stream is one object a window`() throws {
    let options = ["--recompute", "--windows", "8,20", "--decode", "2", "--rounds", "2"]
    let rows = try bench(options + ["--json"]).split(separator: "\n").map(object)
    #expect(rows.map { $0["window"] as? Int } == [8, 20])
    for row in rows {
      #expect(Set(row.keys) == ["window", "recomputationSecondsPerToken", "streamSecondsPerToken", "ratio"])
      for value in row.values { #expect(value as? Double ?? 0 > 0, "\(row)") }
    }
    let lines = try bench(options).split(separator: "\n")
    #expect(lines.count == 4 && lines[0].contains("ms/token") && lines[0].hasSuffix("ratio"))
  }

  @Test func `a depth that no memory holds is refused before it is filled`() throws {
    try withTemporaryDirectory { folder in
      let model = try TinyModel().write(in: folder)
      let result = try Sluice.run(["bench", "-m", model, "--depth", "1000000000000", "--fill"])
      #expect(result.status == 1 && !result.crashed && result.output.isEmpty)
      #expect(result.errorLines.count == 1 && result.error.contains("MiB of memory"), "\(result.error)")
    }
  }
}
