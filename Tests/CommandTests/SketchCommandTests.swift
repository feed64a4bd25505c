import Foundation
import TestSupport
import Testing

/// `sluice evaluate sketch`, which reads no model.
@Suite struct SketchCommandTests {
  private func run(_ arguments: [String]) throws -> Sluice.Result {
    try Sluice.run(["evaluate", "sketch", "--tokens", "100"] + arguments)
  }

  @Test func `one object per row`() throws {
    let result = try run(["--json"])
    #expect(result.status == 0 && result.error.isEmpty, "\(result.error)")
    let objects = try result.output.split(separator: "\n").map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
    let degrees = objects.filter { $0["experiment"] as? String == "degree" }
    #expect(degrees.count == 15 && objects.count == 15 + 12)
    for object in degrees {
      #expect(
        Set(object.keys) == [
          "experiment", "bound", "degree", "taylor", "chebyshev", "minimax", "outputError", "outputBound",
        ])
      let (error, bound) = (object["outputError"] as? Double, object["outputBound"] as? Double)
      #expect(try #require(error) <= #require(bound) + 1e-12)
    }
    for object in objects.dropFirst(15) {
      #expect(object["experiment"] as? String == "recovery" && object["tokens"] as? Int == 100)
      #expect(Set(object.keys).isSuperset(of: ["kept", "rows", "buckets", "projection", "length", "error", "best"]))
    }
    #expect(try run(["--json"]).output == result.output)
  }

  @Test(arguments: [("degree", "minimax", 17), ("recovery", "error/best", 14)])
  func `a table and a picture for an experiment`(experiment: String, heading: String, lines: Int) throws {
    try withTemporaryDirectory { folder in
      let plot = folder + "/plot.svg"
      let result = try run(["--experiment", experiment, "--plot", plot])
      #expect(result.status == 0 && result.error.isEmpty, "\(result.error)")
      #expect(result.output.contains(heading) && result.output.split(separator: "\n").count == lines)
      #expect(try String(contentsOfFile: plot, encoding: .utf8).hasSuffix("</svg>\n"))
    }
  }
}
