import Foundation
import TestSupport
import Testing

/// `sluice evaluate sketch`, which reads no model.
@Suite struct SketchCommandTests {
  private static let small = ["--tokens", "100,400", "--dim", "2", "--kept", "2", "--projection", "64", "--seeds", "2"]

  private func run(_ arguments: [String]) throws -> Sluice.Result {
    try Sluice.run(["evaluate", "sketch"] + arguments)
  }

  @Test func `one object per row`() throws {
    let result = try run(Self.small + ["--json"])
    #expect(result.status == 0 && result.error.isEmpty, "\(result.error)")
    let objects = try result.output.split(separator: "\n").map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
    func rows(_ experiment: String) -> [[String: Any]] { objects.filter { $0["experiment"] as? String == experiment } }
    #expect(rows("growth").count == 8 && rows("exponent").count == 4)
    #expect(rows("size").count == 25 && rows("degree").count == 15 && objects.count == 52)
    for row in rows("growth") {
      #expect(
        Set(row.keys) == [
          "experiment", "stream", "projection", "tokens", "dim", "bound", "degree", "features", "kept", "rows",
          "buckets",
          "storedNumbers", "rawNumbers", "length", "best", "errorBefore", "boundBefore", "errorAfter", "boundAfter",
        ])
      #expect(row["rows"] as? Int == 13 && row["buckets"] as? Int == 32 && row["features"] as? Int == 15)
    }
    for row in rows("degree") {
      let (error, bound) = (row["outputError"] as? Double, row["outputBound"] as? Double)
      #expect(try #require(error) <= #require(bound) + 1e-12)
    }
    #expect(try run(Self.small + ["--json", "--threads", "1"]).output == result.output)
  }

  @Test(arguments: [("growth", "stored", 1 + 10 + 6), ("size", "fewer from", 27), ("degree", "minimax", 17)])
  func `a table and a picture for an experiment`(experiment: String, heading: String, lines: Int) throws {
    try withTemporaryDirectory { folder in
      let plot = folder + "/plot.svg"
      let options = experiment == "growth" ? Self.small : []
      let result = try run(["--experiment", experiment, "--plot", plot] + options)
      #expect(result.status == 0 && result.error.isEmpty, "\(result.error)")
      #expect(result.output.contains(heading) && result.output.split(separator: "\n").count == lines)
      #expect(try String(contentsOfFile: plot, encoding: .utf8).hasSuffix("</svg>\n"))
    }
  }

  @Test func `a sketch that nobody can hold is refused`() throws {
    let result = try run(["--experiment", "growth", "--dim", "8", "--bound", "4"])
    #expect(result.status == 1 && result.error.contains("--dim") && result.errorLines.count == 1, "\(result.error)")
  }
}
