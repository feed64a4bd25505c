import Foundation
import TestSupport
import Testing

/// `sluice evaluate recall` with a tiny model that says sevens, whatever it reads.
@Suite struct RecallCommandTests {
  private static let sevens = TinyModel(biases: [Int32(TinyModel.specialTokens.count) + 0x37: 20])

  private func withModel(_ body: (_ model: String, _ folder: String) throws -> Void) throws {
    try withTemporaryDirectory { folder in try body(Self.sevens.write(in: folder), folder) }
  }

  private func success(_ arguments: [String], input: Sluice.Input = .none) throws -> Sluice.Result {
    let result = try Sluice.run(["evaluate", "recall"] + arguments, input: input)
    #expect(result.status == 0 && !result.crashed, "\(arguments): \(result.error)")
    return result
  }

  private func objects(_ text: String) throws -> [[String: Any]] {
    try text.split(separator: "\n").map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
  }

  private static let cases = """
    {"prompt": "the key is", "expected_number": 7777, "depth": 0}
    {"prompt": "the sea is", "expected_number": 7123, "depth": 1}

    """

  @Test func `a file of cases gives one object per cache`() throws {
    try withModel { model, folder in
      let file = try write(Self.cases, to: "cases.jsonl", in: folder)
      let options = ["-m", model, "--answer-tokens", "4", "--cache", "full", "--cache", "streaming-llm:4+4", "--json"]
      let result = try success([file] + options)
      #expect(result.error.isEmpty)
      let lines = try objects(result.output)
      #expect(lines.map { $0["cache"] as? String } == ["full", "streaming-llm:4+4"])
      for line in lines {
        #expect(
          Set(line.keys) == [
            "cache", "cases", "exactMatch", "exactMatchLower", "exactMatchUpper", "digitAccuracy", "cacheBytesPeak",
          ])
        #expect(line["cases"] as? Int == 2 && line["exactMatch"] as? Double == 0.5)
        #expect(line["digitAccuracy"] as? Double == 0.625 && (line["cacheBytesPeak"] as? Int ?? 0) > 0)
      }
      #expect(try success(["-"] + options, input: .bytes(Array(Self.cases.utf8))).output == result.output)
    }
  }

  @Test func `a file of cases is drawn by depth and length`() throws {
    try withModel { model, folder in
      let file = try write(Self.cases, to: "cases.jsonl", in: folder)
      let plot = folder + "/plot.svg"
      let result = try success([
        file, "-m", model, "--answer-tokens", "4", "--plot", plot, "--lengths", "10", "--depths", "0,1", "--per-point",
      ])
      #expect(result.output.split(separator: "\n").count == 2 + 2 + 1)
      let svg = try String(contentsOfFile: plot, encoding: .utf8)
      #expect(svg.contains("cases.jsonl, tiny.gguf") && svg.contains(">0.25</text>") && svg.hasSuffix("</svg>\n"))
    }
  }

  @Test(arguments: ["pass-key", "needle", "lines", "stream-eval"])
  func `every task runs under every cache and is drawn`(task: String) throws {
    try withModel { model, folder in
      let plot = folder + "/plot.svg"
      let places = task == "stream-eval" ? ["--lines-back", "1,3"] : ["--depths", "0,1"]
      let options =
        [
          "-m", model, "--task", task, "--lengths", "600,900", "--cases", "1", "--cache", "window:32", "--cache",
          "full",
        ]
        + places
      let result = try success(options + ["--plot", plot, "--per-point", "--json", "--progress-every", "2"])
      let lines = try objects(result.output)
      #expect(lines.count == 8 && Set(lines.map { $0["length"] as? Int }) == [600, 900])
      #expect(
        Set(lines.compactMap { ($0["depth"] ?? $0["linesBack"]) as? Int })
          == (task == "stream-eval" ? [1, 3] : [0, 1]))
      #expect(result.errorLines.count == (task == "stream-eval" ? 2 : 4))
      #expect(result.errorLines.allSatisfy { $0.contains("exact match") && $0.contains("digits") })
      #expect(try String(contentsOfFile: plot, encoding: .utf8).contains("window:32"))
      let table = try success(options).output
      #expect(table.split(separator: "\n").count == 4 && table.contains("exact match"))
      #expect(try success(options).output == table)
    }
  }

  @Test func `pass keys in the form of the cascade's authors`() throws {
    try withModel { model, folder in
      let plot = folder + "/plot.svg"
      let options = [
        "-m", model, "--task", "pass-key", "--needle", "cascade", "--lengths", "900", "--cases", "1", "--cache",
        "cascading:40/2[sinks=8]", "--cache", "full",
      ]
      let lines = try objects(success(options + ["--plot", plot, "--per-point", "--json"]).output)
      #expect(lines.compactMap { $0["depth"] as? Double } == [0.1, 0.3, 0.5, 0.7, 0.9, 0.1, 0.3, 0.5, 0.7, 0.9])
      #expect(try String(contentsOfFile: plot, encoding: .utf8).contains("pass-key (cascade), tiny.gguf"))
      let table = try success(options).output
      let head = try #require(table.split(separator: "\n").first)
      #expect(head.split(separator: " ").dropFirst(2).first == "digits", "digits come first")
      #expect(table != (try success(options.filter { $0 != "--needle" && $0 != "cascade" }).output))
    }
  }

  @Test func `text of one's own fills the prompts`() throws {
    try withModel { model, folder in
      let text = try write(String(repeating: "The sea is wide. ", count: 9), to: "a.txt", in: folder)
      let options = ["-m", model, "--lengths", "400", "--depths", "0.5", "--cases", "1", "--json"]
      _ = try success(options + ["--text", text, text, "--seed", "3"])
      let blank = try write(" \n", to: "blank.txt", in: folder)
      for (path, part) in [(blank, "no text"), (folder + "/none.txt", "no such file")] {
        let result = try Sluice.run(["evaluate", "recall"] + options + ["--text", path])
        #expect(result.status == 1 && result.errorLines.count == 1 && result.error.contains(part), "\(result.error)")
      }
    }
  }

  @Test func `what is no case names the file and the line`() throws {
    try withModel { model, folder in
      let good = "{\"prompt\": \"a\", \"expected_number\": 5}\n"
      for (text, parts) in [
        ("", ["no cases"]), (good + "{\"prompt\": \"a\"}\n", ["line 2", "expected_number"]),
        (good + good + "hello\n", ["line 3", "not JSON"]),
        ("{\"prompt\": 1, \"expected_number\": 5}", ["line 1", "string"]),
        ("{\"prompt\": \"a\", \"expected_number\": \"x\"}", ["line 1", "number"]),
      ] {
        let file = try write(text, to: "cases.jsonl", in: folder)
        let result = try Sluice.run(["evaluate", "recall", file, "-m", model])
        #expect(result.status == 1 && !result.crashed && result.output.isEmpty)
        #expect(result.errorLines.count == 1, "\(result.error)")
        for part in ["cases.jsonl"] + parts { #expect(result.error.contains(part), "\(result.error)") }
      }
      let file = try write(good, to: "cases.jsonl", in: folder)
      let result = try Sluice.run(["evaluate", "recall", file, "-m", model, "--per-point"])
      #expect(result.status == 1 && result.errorLines.count == 1 && result.error.contains("depth"), "\(result.error)")
      for (arguments, part) in [
        (["--lengths", "20"], "20 tokens"), (["--task", "stream-eval", "--lengths", "100"], "100 tokens"),
        (["--plot", folder + "/no/such.svg"], "such.svg"),
      ] {
        let result = try Sluice.run(["evaluate", "recall", "-m", model] + arguments)
        #expect(result.status == 1 && result.errorLines.count == 1 && result.error.contains(part), "\(result.error)")
      }
    }
  }
}
