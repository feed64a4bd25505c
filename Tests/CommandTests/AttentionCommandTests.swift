import Foundation
import TestSupport
import Testing

/// `sluice evaluate attention` with a tiny model.
@Suite struct AttentionCommandTests {
  private static let text = String(repeating: "The sea is wide and the night is long. ", count: 8)

  private func withModel(_ body: (_ model: String, _ text: String, _ folder: String) throws -> Void) throws {
    try withTemporaryDirectory { folder in
      try body(TinyModel().write(in: folder), write(Self.text, to: "sea.txt", in: folder), folder)
    }
  }

  private func run(_ arguments: [String], input: Sluice.Input = .none) throws -> Sluice.Result {
    try Sluice.run(["evaluate", "attention"] + arguments, input: input)
  }

  @Test func `one object per cache and position`() throws {
    try withModel { model, text, _ in
      let options = [
        "-m", model, "--cache", "full", "--cache", "streaming-llm:2+6", "--at", "40,20", "--last", "5", "--json",
      ]
      let result = try run([text] + options)
      #expect(result.status == 0 && result.error.isEmpty, "\(result.error)")
      let objects = try result.output.split(separator: "\n").map {
        try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
      }
      #expect(objects.map { $0["cache"] as? String } == ["full", "full", "streaming-llm:2+6", "streaming-llm:2+6"])
      #expect(objects.map { $0["position"] as? Int } == [20, 40, 20, 40])
      for object in objects {
        #expect(Set(object.keys) == ["cache", "position", "last", "error", "mass", "layers"])
        let layers = try #require(object["layers"] as? [[String: Any]])
        #expect(layers.count == 2 && object["last"] as? Int == 5)
        let position = try #require(object["position"] as? Int)
        let isFull = object["cache"] as? String == "full"
        let held = isFull ? [[0, position - 1]] : [[0, 1], [position - 6, position - 1]]
        for layer in layers {
          #expect(Set(layer.keys) == ["error", "mass", "headErrors", "masses", "held"])
          #expect(layer["held"] as? [[[Int]]] == [held, held])
          #expect((layer["headErrors"] as? [Double])?.count == 4 && (layer["masses"] as? [Double])?.count == 2)
        }
        #expect(isFull == (object["error"] as? Double == 0) && isFull == (object["mass"] as? Double == 1))
      }
      #expect(try run(["-"] + options, input: .bytes(Array(Self.text.utf8))).output == result.output)
    }
  }

  @Test func `a table for every cache and position, and a picture`() throws {
    try withModel { model, text, folder in
      let plot = folder + "/plot.svg"
      let options = ["-m", model, "--cache", "window:8", "--cache", "cascading:16/2", "--at", "30"]
      let result = try run([text] + options + ["--plot", plot])
      #expect(result.status == 0 && result.error.isEmpty, "\(result.error)")
      #expect(result.output.contains("window:8 at 30 tokens\n\nlayer  held   error    mass\n"), "\(result.output)")
      #expect(result.output.contains("\n\ncascading:16/2 at 30 tokens\n\n"))
      #expect(result.output.split(separator: "\n").count == 2 * (1 + 2 + 3))
      let svg = try String(contentsOfFile: plot, encoding: .utf8)
      #expect(svg.contains("sea.txt, tiny.gguf") && svg.contains("cascading:16/2, 30 tokens read"))
      #expect(svg.hasSuffix("</svg>\n"))
    }
  }

  @Test func `heads are divided by a file that the attention they lose has filled`() throws {
    try withModel { model, text, folder in
      let path = folder + "/heads.tsv"
      let options = ["-m", model, "--cache", "streaming-llm:2+6", "--cache", "full", "--at", "40,30"]
      #expect(try run([text] + options + ["--heads", path]).status == 0)
      let needs = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map {
        $0.split(separator: "\t").compactMap { Double($0) }
      }
      #expect(needs.count == 2 && needs.allSatisfy { $0.count == 2 && $0.allSatisfy { $0 > 0 && $0 < 1 } })
      let cache = "duo-attention:2+6[heads=\(path),sparsity=0.25]"
      let held = try run([text, "-m", model, "--cache", cache, "--at", "40", "--json"])
      let object = try #require(try JSONSerialization.jsonObject(with: Data(held.output.utf8)) as? [String: Any])
      let layers = try #require(object["layers"] as? [[String: Any]])
      let runs = layers.flatMap { $0["held"] as? [[[Int]]] ?? [] }
      let least = zip(needs.joined(), runs).min { $0.0 < $1.0 }
      #expect(least?.1 == [[0, 1], [34, 39]])
      #expect(runs.count { $0 == [[0, 39]] } == 3)
      let inspected = try Sluice.run(["inspect", "-m", model, "--cache", cache])
      #expect(inspected.output.contains("tokens, 3 of the heads"), "\(inspected.output)")
      #expect(inspected.output.contains("window:6, 1 of the heads"))
      #expect(try Sluice.run(["run", "-m", model, "--cache", cache, "-p", "The sea", "-n", "20"]).status == 0)
      let wrong = try write("1 2 3\n4 5 6\n", to: "wrong.tsv", in: folder)
      let refused = try run([text, "-m", model, "--cache", "duo-attention[heads=\(wrong)]", "--at", "9"])
      #expect(refused.status == 1 && refused.error.contains("2 layers of 3 KV heads, the model has 2 of 2"))
      #expect(refused.error.split(separator: "\n").count == 1)
      let broken = try write("1 2\n3 canary\n", to: "broken.tsv", in: folder)
      for (file, reason) in [
        (broken, "line 2, head 2: no finite number"), (folder + "/none.tsv", "cannot be read: No such file"),
        (folder, "cannot be read"), (try write("", to: "empty.tsv", in: folder), "holds no numbers"),
      ] {
        for command in [["evaluate", "attention", text, "--at", "9"], ["run", "-p", "a"], ["inspect"], ["bench"]] {
          let refused = try Sluice.run(command + ["-m", model, "--cache", "duo-attention[heads=\(file)]"])
          #expect(refused.status == 1 && refused.error.contains("'\(file)': \(reason)"), "\(refused.error)")
          #expect(!refused.error.contains("canary") && refused.error.split(separator: "\n").count == 1)
        }
      }
    }
  }

  @Test func `what cannot be measured is one line`() throws {
    try withModel { model, text, folder in
      let empty = try write("", to: "empty.txt", in: folder)
      let cases: [([String], [String])] = [
        ([text, "--at", "9999", "--cache", "full"], ["position 9999", "beyond the text"]),
        ([empty, "--at", "1", "--cache", "full"], ["position 1", "0 tokens"]),
        ([text, "--at", "9", "--cache", "river:9"], ["river", "streaming-llm"]),
        ([text, "--at", "9", "--cache", "recompute:9"], ["recompute"]),
        ([text, "--at", "9", "--cache", "full", "--plot", folder + "/no/such.svg"], ["such.svg"]),
        ([folder + "/none.txt", "--at", "9", "--cache", "full"], ["none.txt", "no such file"]),
      ]
      for (arguments, parts) in cases {
        let result = try run(arguments + ["-m", model])
        #expect(result.status == 1 && !result.crashed && result.output.isEmpty, "\(arguments)")
        #expect(result.errorLines.count == 1, "\(result.error)")
        for part in parts { #expect(result.error.contains(part), "\(result.error)") }
      }
    }
  }
}
