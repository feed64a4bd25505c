import Foundation
import Kernels
import TestSupport
import Testing

/// What the command does with a tiny model.
@Suite struct CommandRunTests {
  /// Runs `body` with the path of a tiny model in a folder of its own.
  private func withModel<Value>(
    _ tiny: TinyModel = TinyModel(), _ body: (_ model: String, _ folder: String) throws -> Value
  ) throws -> Value {
    try withTemporaryDirectory { folder in try body(tiny.write(in: folder), folder) }
  }

  private func success(
    _ arguments: [String], input: Sluice.Input = .none, environment: [String: String] = [:],
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> Sluice.Result {
    let result = try Sluice.run(arguments, input: input, environment: environment)
    #expect(result.status == 0 && !result.crashed, "\(arguments): \(result.error)", sourceLocation: sourceLocation)
    return result
  }

  private func ids(_ json: String) throws -> [Int] {
    try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [Int])
  }

  @Test func `the same seed writes the same text`() throws {
    try withModel { model, _ in
      let write = { (seed: String) in
        try success(["run", "-m", model, "-p", "Hello", "-n", "12", "--seed", seed, "--temp", "1.5"])
      }
      let first = try write("1")
      #expect(first.error.isEmpty && first.output.hasSuffix("\n") && first.output.count > 1)
      #expect(try write("1").output == first.output)
      #expect(try write("2").output != first.output)
    }
  }

  @Test func `a text comes from an argument, a file or a pipe`() throws {
    try withModel { model, folder in
      let text = "Once upon a time, there was the sea.\n"
      let file = try write(text, to: "text.txt", in: folder)
      let marked = try write([0xEF, 0xBB, 0xBF] + Array(text.utf8), to: "marked.txt", in: folder)
      let options = ["-m", model, "-n", "10", "--temp", "0"]
      let expected = try success(["run", "-p", text] + options).output
      #expect(try success(["run", "-f", file] + options).output == expected)
      #expect(try success(["run", "-f", marked] + options).output == expected)
      #expect(try success(["run", "-f", "-"] + options, input: .bytes(Array(text.utf8))).output == expected)
      #expect(try success(["run"] + options, input: .bytes(Array(text.utf8))).output == expected)
      #expect(try success(["run", "-p", "Another text"] + options).output != expected)
    }
  }

  @Test func `layers with a window are inspected with that window, whatever the cache`() throws {
    let model = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../ModelsTests/Golden/gemma3.gguf").standardized.path
    for cache in ["full", "snapkv:64", "streaming-llm:4+28"] {
      let output = try success(["inspect", "-m", model, "--cache", cache]).output
      #expect(output.contains("window:9, 12 of the heads"), "\(output)")
      #expect(output.contains(", 2 of the heads"), "\(output)")
    }
  }

  @Test func `a stop string ends the text`() throws {
    try withModel { model, _ in
      let options = ["run", "-m", model, "-p", "Hello", "-n", "30", "--temp", "0"]
      let whole = Array(try success(options).output.dropLast())
      let stop = String(whole[5..<8])
      let end = try #require(String(whole).range(of: stop)).lowerBound
      #expect(try success(options + ["--stop", "\u{1}none", "--stop", stop]).output == String(whole)[..<end] + "\n")
    }
  }

  @Test func `a fetched model is found by its name, and the default model without one`() throws {
    try withModel { model, folder in
      let environment = ["SLUICE_MODELS": folder]
      let options = ["run", "-p", "Hello", "-n", "5", "--temp", "0"]
      let expected = try success(options + ["-m", model]).output
      #expect(try success(options + ["-m", "tiny"], environment: environment).output == expected)
      try FileManager.default.moveItem(atPath: model, toPath: folder + "/SmolLM2-135M-Instruct.Q4_1.gguf")
      #expect(try success(options, environment: environment).output == expected)
    }
  }

  @Test func `tokenize prints one array of ids`() throws {
    try withModel { model, folder in
      let text = "the sea\n<|im_end|> é漢 the"
      let file = try write(text, to: "text.txt", in: folder)
      let options = ["tokenize", "--json", "-m", model]
      let plain = try success(options + ["-p", text]).output
      #expect(plain.split(separator: "\n").count == 1)
      #expect(try success(options + ["-f", file]).output == plain)
      #expect(try success(options + ["-f", "-"], input: .bytes(Array(text.utf8))).output == plain)
      #expect(try success(options, input: .bytes(Array(text.utf8))).output == plain)
      let special = Int(TinyModel.endOfMessage)
      #expect(try !ids(plain).contains { $0 < TinyModel.specialTokens.count })
      let parsed = try ids(success(options + ["--special", "-p", text]).output)
      #expect(parsed.filter { $0 < TinyModel.specialTokens.count } == [special])
      #expect(try ids(success(options + ["-p", ""]).output) == [])
      let lines = try success(["tokenize", "-m", model, "-p", text]).output.split(separator: "\n")
      #expect(try lines.map { Int($0.prefix { $0 != "\t" }) } == ids(plain))
    }
  }

  @Test func `special tokens of a prompt act only when asked`() throws {
    try withModel(TinyModel(seed: 3)) { (model, _) throws in
      let options = ["run", "-m", model, "-p", "a<|im_start|>b", "-n", "20", "--temp", "0"]
      #expect(try success(options).output != success(options + ["--special"]).output)
    }
  }

  @Test func `broken UTF-8 is repaired`() throws {
    try withModel { model, folder in
      let broken = Array("the ".utf8) + [0xFF, 0xC3] + Array(" sea".utf8) + [0xE6, 0xBC]
      let repaired = String(decoding: broken, as: UTF8.self)
      let file = try write(broken, to: "broken.txt", in: folder)
      let options = ["tokenize", "--json", "-m", model]
      let expected = try success(options + ["-p", repaired]).output
      #expect(try success(options + ["-f", file]).output == expected)
      #expect(try success(options, input: .bytes(broken)).output == expected)
      _ = try success(["run", "-m", model, "-f", file, "-n", "3"])
      _ = try success(["evaluate", "perplexity", file, "-m", model])
      _ = try success(["chat", "-m", model, "-n", "3"], input: .bytes(broken + [0x0A]))
    }
  }

  @Test func `a pipe may be far longer than the trained length`() throws {
    try withModel { model, _ in
      let line = Array("The quick brown fox jumps over the lazy dog, and the river runs on.\n".utf8)
      let result = try success(
        ["run", "-m", model, "--cache", "streaming-llm:4+60", "-n", "5", "--seed", "1"],
        input: .endless(line, limit: 200_000))
      #expect(result.error.isEmpty && !result.output.isEmpty)
    }
  }

  @Test func `reading stops where the tokens asked for are read`() throws {
    try withModel { model, _ in
      let result = try success(
        ["evaluate", "perplexity", "-", "-m", model, "--cache", "window:16", "--tokens", "300", "--json"],
        input: .endless(Array("and on ".utf8), limit: 1 << 30))
      let object = try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any]
      #expect(object?["tokens"] as? Int == 299)
    }
  }

  @Test func `running past the trained length is said once, and only of a cache that holds more`() throws {
    try withModel(TinyModel(trainedLength: 64)) { model, folder in
      let file = try write(String(repeating: "away ", count: 60), to: "long.txt", in: folder)
      func said(_ arguments: [String]) throws -> [Substring] {
        try success(["run", "-m", model, "-n", "80", "--seed", "1"] + arguments).errorLines
      }
      for arguments in [["-f", file], ["-p", "short"], ["-f", file, "--chunk", "16"]] {
        let lines = try said(arguments)
        #expect(lines.count == 1 && lines.first?.contains("64 tokens") == true, "\(lines)")
        #expect(try said(arguments + ["--cache", "streaming-llm:4+28"]).isEmpty)
        #expect(try said(arguments + ["--cache", "window:65"]).count == 1)
      }
      #expect(try success(["run", "-m", model, "-p", "short", "-n", "10"]).error.isEmpty)
    }
  }

  @Test func `perplexity is one object per cache with fixed keys`() throws {
    try withModel { model, folder in
      let first = try write(String(repeating: "the sea and the sky ", count: 20), to: "first.txt", in: folder)
      let second = try write(String(repeating: "another one ", count: 20), to: "second.txt", in: folder)
      let caches = ["full", "window:32", "streaming-llm:4+28", "recompute:32/16"]
      let arguments =
        ["evaluate", "perplexity", first, second, "-m", model, "--json"] + caches.flatMap { ["--cache", $0] }
      let lines = try success(arguments).output.split(separator: "\n")
      #expect(lines.count == caches.count)
      let length =
        try ids(success(["tokenize", "--json", "-m", model, "-f", first]).output).count
        + ids(success(["tokenize", "--json", "-m", model, "-f", second]).output).count
      for (line, cache) in zip(lines, caches) {
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(
          Set(object.keys) == ["cache", "tokens", "nll", "perplexity", "cacheBytesPeak", "tokensPerSecond"])
        #expect(object["cache"] as? String == cache)
        #expect(object["tokens"] as? Int == length - 1)
        let nll = try #require(object["nll"] as? Double)
        let perplexity = try #require(object["perplexity"] as? Double)
        #expect(abs(log(perplexity) - nll) < 1e-9)
        #expect(try #require(object["cacheBytesPeak"] as? Int) > 0)
      }
      let perFile = try success(arguments + ["--per-file"]).output.split(separator: "\n")
      let object = try JSONSerialization.jsonObject(with: Data(perFile[0].utf8)) as? [String: Any]
      #expect(object?["tokens"] as? Int == length - 2)
      let table = try success(arguments.filter { $0 != "--json" }).output
      for cache in caches { #expect(table.contains(cache)) }
    }
  }

  @Test func `inspect tells the model and the bytes of a cache`() throws {
    try withModel { model, _ in
      let options = ["inspect", "-m", model, "--cache", "streaming-llm:4+28"]
      let text = try success(options).output
      for part in [
        "llama", "2", "4 query, 2 KV heads of 8 dimensions", "sinks:4", "window:28", "128 tokens", "allocated",
      ] {
        #expect(text.contains(part), "\(part)")
      }
      let line = try success(options + ["--json"]).output
      let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
      #expect(object["layers"] as? Int == 2 && object["headDim"] as? Int == 8 && object["trainedLength"] as? Int == 128)
      let stages = try #require(object["stages"] as? [[String: Any]])
      #expect(stages.map { $0["stage"] as? String } == ["sinks:4", "window:28"])
      // 4 and 28 slots x 2 layers x 2 KV heads x 8 dimensions x 2 (key, value) x 2 bytes.
      #expect(stages.map { $0["bytes"] as? Int } == [512, 3584])
      #expect(object["cacheBytes"] as? Int == 4096)
      let voting = try success(["inspect", "-m", model, "--cache", "snapkv:40[window=4]"]).output
      // 40 slots x 2 layers x 2 KV heads x 8 dimensions x 2 x 2 bytes.
      #expect(voting.contains("of a prompt that long 40 tokens stay when it ends, 5,120 bytes"))
      let whole = try success(["inspect", "-m", model, "--cache", "h2o:32[prompt=whole]"]).output
      // 32 slots, and 128 (after 48 and 80), of 4 heads x 32 bytes, and 8 bytes a slot and head for scores.
      #expect(
        whole.contains("5,120") && whole.contains("and 20,480 bytes while a prompt of 128 tokens is read"), "\(whole)")
      let joining = try success(["inspect", "-m", model, "--cache", "k-center:40[window=4,recompress=8]"]).output
      // Each slot takes 12 bytes more for the tokens that it stands for.
      #expect(joining.contains("40 tokens stay when it ends, 7,040 bytes;"), "\(joining)")
      #expect(joining.contains("what comes after it joins them every 8 tokens"), "\(joining)")
    }
  }

  @Test func `adapters change the text by their scale, and add up`() throws {
    try withModel { model, folder in
      let adapter = try TinyAdapter().write(in: folder)
      let gguf = try write(TinyAdapter(seed: 2).ggufWriter().bytes(), to: "adapter.gguf", in: folder)
      let text = { (adapters: [String]) in
        let options = ["run", "-m", model, "-p", "Hello", "-n", "20", "--temp", "0", "--exact"]
        return try success(options + adapters.flatMap { ["--lora", $0] }).output
      }
      let plain = try text([])
      #expect(try text([adapter + ":0"]) == plain)
      let changed = try text([adapter + ":4"])
      #expect(changed != plain)
      #expect(try text([adapter + ":1", adapter, adapter + ":2e0"]) == changed)
      #expect(try text([adapter + ":4", adapter + ":-4"]) == plain)
      #expect(try text([adapter + ":4", gguf + ":4"]) != changed)
    }
  }

  @Test func `inspect tells an adapter's rank, scale and matrices`() throws {
    try withModel { model, folder in
      let adapter = try TinyAdapter().write(in: folder)
      let options = ["inspect", "-m", model, "--lora", adapter + ":0.5"]
      let text = try success(options).output
      #expect(text.contains(adapter + ", rank 4, scale 1, 8 matrices: q_proj k_proj v_proj o_proj\n"), "\(text)")
      let line = try success(options + ["--json"]).output
      let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
      let adapters = try #require(object["adapters"] as? [[String: Any]])
      #expect(adapters.count == 1 && adapters[0]["path"] as? String == adapter)
      #expect(adapters[0]["ranks"] as? [Int] == [4] && adapters[0]["scales"] as? [Double] == [1])
      #expect(adapters[0]["matrices"] as? Int == 8)
      #expect(adapters[0]["modules"] as? [String] == ["q_proj", "k_proj", "v_proj", "o_proj"])
    }
  }

  @Test(arguments: InstructionSet.available.map(\.name))
  func `every instruction set writes the same greedy text`(name: String) throws {
    try withModel { model, _ in
      let options = ["run", "-m", model, "-p", "The river", "-n", "40", "--temp", "0", "--exact"]
      let expected = try success(options, environment: ["SLUICE_ISA": "scalar"]).output
      #expect(try success(options, environment: ["SLUICE_ISA": name]).output == expected)
    }
  }

  @Test func `chat answers line by line`() throws {
    try withModel { model, _ in
      let result = try success(
        ["chat", "-m", model, "-n", "4", "--temp", "0"],
        input: .bytes(Array("Hello\nAnd now?\n/exit\nnot read\n".utf8)))
      #expect(result.error.isEmpty)
      #expect(try success(["chat", "-m", model], input: .bytes(Array("\nnot read\n".utf8))).output.isEmpty)
      // What was taken back leaves no trace, and what cannot be is said beside the answers.
      let again = try success(
        ["chat", "-m", model, "-n", "4", "--temp", "0", "--undo", "300", "--cache", "streaming-llm:4+60"],
        input: .bytes(Array("Hello\n/undo\n/undo\nHello\n".utf8)))
      let answers = again.output.split(separator: "\n", omittingEmptySubsequences: false)
      #expect(answers.count == 3 && answers[0] == answers[1])
      #expect(again.error == "sluice: there is no request that could be taken back\n")
      let framed = try success(["run", "--chat", "-m", model, "-p", "Hello", "-n", "4", "--temp", "0"]).output
      #expect(result.output.hasPrefix(framed))
    }
  }

  @Test func `the model's end is the end`() throws {
    try withModel(TinyModel(endBias: 20)) { (model, _) throws in
      #expect(try success(["run", "-m", model, "-p", "Hello"]).output == "\n")
      #expect(try success(["chat", "-m", model], input: .bytes(Array("a\nb\n".utf8))).output == "\n\n")
    }
  }

  #if os(Linux)
    @Test func `a full disk is one line, and what was there stays`() throws {
      try withModel { model, folder in
        let text = try write(String(repeating: "the sea ", count: 100), to: "text.txt", in: folder)
        let options = ["demo", text, "-m", model, "--budget", "16", "--tokens", "100"]
        for output in ["/dev/full", folder + "/no/such/plot.svg", folder] {
          let result = try Sluice.run(options + ["--output", output])
          #expect(result.status == 1 && !result.crashed)
          let lines = result.errorLines.filter { $0.hasPrefix("sluice: ") }
          #expect(
            lines.count == 1 && result.errorLines.last == lines.last && lines[0].contains(output), "\(result.error)")
        }
        // A folder in the place of the file that is written first: the old plot must survive.
        let plot = try write("old plot", to: "plot.svg", in: folder)
        try makeDirectory("plot.svg.partial", in: folder)
        #expect(try Sluice.run(options + ["--output", plot]).status == 1)
        #expect(try String(contentsOfFile: plot, encoding: .utf8) == "old plot")
        try FileManager.default.removeItem(atPath: plot + ".partial")
        let result = try success(options + ["--output", plot])
        #expect(result.output.contains("streaming-llm:4+12"))
        #expect(try String(contentsOfFile: plot, encoding: .utf8).contains("</svg>"))
        #expect(!FileManager.default.fileExists(atPath: plot + ".partial"))
      }
    }

    @Test func `standard output that cannot be written is one line`() throws {
      try withModel { model, _ in
        for arguments in [
          ["run", "-p", "a", "-n", "3", "-m", model], ["tokenize", "-p", "a", "-m", model], ["--help"],
        ] {
          let result = try Sluice.run(arguments, output: "/dev/full")
          #expect(result.status == 1 && !result.crashed)
          #expect(result.errorLines.count == 1 && result.error.hasPrefix("sluice: standard output"), "\(result.error)")
        }
      }
    }
  #endif

  @Test func `a reader that goes away ends the command quietly`() throws {
    try withModel { model, _ in
      let result = try Sluice.run(
        ["tokenize", "-m", model], input: .endless(Array("on and on ".utf8), limit: 1 << 30), closesOutput: true)
      #expect(result.status == 0 && !result.crashed && result.error.isEmpty, "\(result.error)")
    }
  }

  @Test func `-n -1 writes until the model ends`() throws {
    try withModel(TinyModel(endBias: 20)) { (model, _) throws in
      let arguments = ["run", "-m", model, "-p", "The river", "--temp", "0"]
      #expect(try success(arguments + ["-n", "-1"]).output == success(arguments).output)
    }
  }
}
