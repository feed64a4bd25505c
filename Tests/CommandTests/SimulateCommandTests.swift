import Foundation
import TestSupport
import Testing

/// `sluice simulate`.
@Suite struct SimulateCommandTests {
  private func run(_ arguments: [String]) throws -> Sluice.Result { try Sluice.run(["simulate"] + arguments) }

  private func objects(_ output: String) throws -> [[String: Any]] {
    try output.split(separator: "\n").map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
  }

  @Test func `a comparison is one object a row, the same every time`() throws {
    let arguments = ["compare", "--size", "llama-65b", "--trace", "2000/5", "--against", "2,4", "--json"]
    let result = try run(arguments)
    #expect(result.status == 0 && result.error.isEmpty, "\(result.error)")
    let rows = try objects(result.output)
    #expect(rows.map { $0["together"] as? String } == ["2 x h100", "4 x h100"])
    for row in rows {
      #expect(row["apart"] as? String == "2 x h100 + 4 x h20, 2 batches")
      let (ratio, throughput) = (row["perDollarRatio"] as? Double, row["throughputRatio"] as? Double)
      #expect(try #require(ratio) > 0 && #require(throughput) > 0)
      #expect(row.keys.count == 17)
    }
    // Two cards have little room beside the weights.
    #expect(try #require(rows[0]["perDollarRatio"] as? Double) > #require(rows[1]["perDollarRatio"] as? Double))
    #expect(try run(arguments).output == result.output)
  }

  @Test(arguments: [
    (["compare", "--size", "llama3-70b", "--trace", "azure-code"], "break-even", 3),
    (["best", "--size", "llama3-70b", "--trace", "kimi-ta", "--most", "4"], "Mtokens/$", 7),
    (["lengths", "--size", "llama-33b", "--prompts", "500,5000", "--most", "4"], "ratio", 4),
    (["fleet", "--workers", "60", "--trace", "500/20", "--seconds", "20", "--load", "0.5,0.9"], "waits p99", 4),
  ])
  func `a table and a picture`(arguments: [String], heading: String, lines: Int) throws {
    try withTemporaryDirectory { folder in
      let plot = folder + "/plot.svg"
      let result = try run(arguments + ["--plot", plot])
      #expect(result.status == 0 && result.error.isEmpty, "\(result.error)")
      #expect(
        result.output.contains(heading) && result.output.split(separator: "\n").count == lines, "\(result.output)")
      #expect(try String(contentsOfFile: plot, encoding: .utf8).hasSuffix("</svg>\n"))
    }
  }

  @Test func `curves are measured, and held to the machine`() throws {
    try withTemporaryDirectory { folder in
      let model = try TinyModel().write(in: folder)
      let curves = folder + "/curves.json"
      let made = try run(
        ["calibrate", "-m", model, "--batches", "1,2", "--lengths", "8,32", "--rounds", "1", "-t", "1", "-o", curves])
      #expect(made.status == 0 && made.output.isEmpty && made.error.isEmpty, "\(made.error)")
      let file = try objects(String(contentsOfFile: curves, encoding: .utf8))[0]
      #expect((file["modelSeconds"] as? [Double])?.count == 2 && (file["attentionSeconds"] as? [[Double]])?.count == 2)
      // From the file, and from curves that are measured beside the requests.
      for options in [["--curves", curves], ["--rounds", "2"]] {
        let result = try run(
          ["check", "-m", model, "--batches", "1,3", "--requests", "20/4", "--steps", "20", "-t", "1", "--json"]
            + options)
        #expect(result.status == 0, "\(result.error)")
        let rows = try objects(result.output)
        #expect(rows.map { $0["sequences"] as? Int } == [1, 3])
        for row in rows { #expect(try #require(row["simulatedTokensPerSecond"] as? Double) > 0) }
      }
    }
  }

  @Test func `files that are no curves are refused in a line`() throws {
    try withTemporaryDirectory { folder in
      let model = try TinyModel().write(in: folder)
      for (index, text) in [
        "", "[]", "{\"version\":1}", "{\"version\":2,\"layers\":2}",
        "{\"version\":1,\"layers\":2,\"batches\":[1,2],\"lengths\":[1,2],\"modelSeconds\":[1,-1],"
          + "\"attentionSeconds\":[[1,1],[1,1]]}",
      ].enumerated() {
        let path = try write(Array(text.utf8), to: "curves\(index).json", in: folder)
        let result = try run(["check", "-m", model, "--curves", path])
        #expect(
          result.status == 1 && result.errorLines.count == 1 && result.error.contains("curves"), "\(result.error)")
      }
    }
  }

  @Test(arguments: [
    (["compare", "--size", "gpt"], "gpt"), (["compare", "--trace", "x/y"], "x/y"),
    (["compare", "--trace", "0/1"], "0/1"),
    (["compare", "--devices", "1"], "--devices"), (["compare", "--devices", "1,0"], "--devices"),
    (["compare", "--batches", "0"], "--batches"), (["compare", "--reached", "1,2,3"], "--reached"),
    (["compare", "--rate=-1"], "--rate"), (["compare", "--model-device", "abacus"], "abacus"),
    (["lengths", "--trace", "kimi-ta"], "--trace"), (["fleet", "--workers", "2"], "--workers"),
    (["fleet", "--load", "0"], "--load"), (["calibrate", "--batches", "4,2"], "--batches"),
    (["check", "--rounds", "0"], "--rounds"),
  ])
  func `what was typed wrongly is named`(arguments: [String], name: String) throws {
    let result = try run(arguments)
    #expect(result.status == 2 && result.errorLines.count == 2 && result.error.contains(name), "\(result.error)")
  }
}
