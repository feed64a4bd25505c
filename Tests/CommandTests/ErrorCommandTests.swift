import Foundation
import TestSupport
import Testing

/// `sluice evaluate error` with a tiny model.
@Suite struct ErrorCommandTests {
  private static let text = String(repeating: "The sea is wide and the night is long. ", count: 8)

  private func withModel(_ body: (_ model: String, _ text: String, _ folder: String) throws -> Void) throws {
    try withTemporaryDirectory { folder in
      try body(TinyModel().write(in: folder), write(Self.text, to: "sea.txt", in: folder), folder)
    }
  }

  @Test func `objects name the geometry of every head, the same for every cache`() throws {
    try withModel { model, text, _ in
      let result = try Sluice.run([
        "evaluate", "error", text, "-m", model, "--cache", "full", "--cache", "window:8", "--at", "40,20", "--clusters",
        "4", "--last", "5", "--json",
      ])
      #expect(result.status == 0 && result.error.isEmpty, "\(result.error)")
      let objects = try result.output.split(separator: "\n").map {
        try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
      }
      #expect(objects.map { $0["cache"] as? String } == ["full", "full", "window:8", "window:8"])
      #expect(objects.map { $0["position"] as? Int } == [20, 40, 20, 40])
      var radii: [[Double]] = []
      for object in objects {
        let layers = try #require(object["layers"] as? [[String: Any]])
        let heads = layers.flatMap { $0["heads"] as? [[String: Any]] ?? [] }
        #expect(heads.count == 4 && object["clusters"] as? Int == 4)
        for head in heads {
          #expect(
            Set(head.keys) == [
              "delta", "r", "deltaR", "stableRank", "logitSpread", "sampleBound", "clusterBound", "keys", "values",
            ])
          let cloud = try #require(head["keys"] as? [String: Any])
          #expect(cloud["clusters"] is NSNull && cloud["radius"] as? Double ?? 0 > 0)
          let rank = try #require(head["stableRank"] as? Double)
          #expect(rank >= 1 && rank <= 16.001)
        }
        radii.append(heads.compactMap { $0["delta"] as? Double })
        #expect((object["cache"] as? String == "full") == (object["error"] as? Double == 0))
      }
      #expect(radii[0] == radii[2] && radii[1] == radii[3] && radii[0] != radii[1])
    }
  }

  @Test func `a table of keys, one of errors, and curves`() throws {
    try withModel { model, text, folder in
      let plot = folder + "/plot.svg"
      let result = try Sluice.run([
        "evaluate", "error", text, "-m", model, "--cache", "window:8", "--cache", "window:16", "--at", "40", "--plot",
        plot,
      ])
      #expect(result.status == 0 && result.error.isEmpty, "\(result.error)")
      #expect(result.output.hasPrefix("tokens  delta"), "\(result.output)")
      #expect(result.output.contains("window:8 ") && result.output.contains("window:16 "))
      let svg = try String(contentsOfFile: plot, encoding: .utf8)
      #expect(svg.contains("bytes of the cache") && svg.contains(">window<") && svg.contains("sea.txt, tiny.gguf"))
      #expect(!result.output.contains("clusters of keys"))
      let counted = try Sluice.run([
        "evaluate", "error", text, "-m", model, "--cache", "window:8", "--at", "20,40", "--delta", "0.4",
      ])
      #expect(counted.output.contains("clusters of keys") && counted.error.isEmpty, "\(counted.output)\(counted.error)")
      for wrong in [["--clusters", "0"], ["--at", "0"], ["--delta", "-1"], ["--delta", "nan"]] {
        let refused = try Sluice.run(["evaluate", "error", text, "-m", model, "--cache", "full", "--at", "9"] + wrong)
        #expect(refused.status == 2 && refused.error.contains(wrong[0]), "\(refused.error)")
      }
      let layer = try Sluice.run([
        "evaluate", "error", text, "-m", model, "--cache", "window:8", "--at", "40", "--layer", "1", "--json",
      ])
      let object = try JSONSerialization.jsonObject(with: Data(layer.output.utf8)) as? [String: Any]
      #expect((object?["layers"] as? [Any])?.count == 1 && layer.error.isEmpty, "\(layer.error)")
      for wrong in ["-1", "2"] {
        let refused = try Sluice.run(
          ["evaluate", "error", text, "-m", model, "--cache", "full", "--at", "9", "--layer", wrong])
        #expect(refused.status == 1)
        #expect(refused.error == "sluice: --layer must be from 0 to 1, but is \(wrong)\n")
      }
      let beyond = try Sluice.run(["evaluate", "error", text, "-m", model, "--cache", "full", "--at", "9999"])
      #expect(beyond.status == 1 && beyond.error.contains("beyond the text"))
    }
  }
}
