import Foundation
import TestSupport
import Testing

/// Exit status 1 and one clear line for models, caches and texts that cannot be used.
@Suite struct BadInputTests {
  private func expectOneLine(
    _ result: Sluice.Result, _ parts: String..., sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(result.status == 1 && !result.crashed, "\(result)", sourceLocation: sourceLocation)
    #expect(result.errorLines.count == 1, "\(result.error)", sourceLocation: sourceLocation)
    #expect(result.error.hasPrefix("sluice: "), "\(result.error)", sourceLocation: sourceLocation)
    for part in parts { #expect(result.error.contains(part), "\(result.error)", sourceLocation: sourceLocation) }
  }

  /// The commands that open a model, without it.
  private static let commands: [[String]] = [
    ["run", "-p", "a", "-n", "1"], ["inspect"], ["tokenize", "-p", "a"], ["chat"],
    ["evaluate", "perplexity", "/dev/null"], ["evaluate", "recall"],
    ["evaluate", "attention", "/dev/null", "--at", "1", "--cache", "full"],
  ]

  @Test(arguments: commands)
  func `no model at the path`(command: [String]) throws {
    expectOneLine(try Sluice.run(command + ["-m", "/no/such.gguf"]), "/no/such.gguf")
  }

  @Test(arguments: commands)
  func `the default model is not there`(command: [String]) throws {
    try withTemporaryDirectory { folder in
      let result = try Sluice.run(command, environment: ["SLUICE_MODELS": folder])
      expectOneLine(result, folder, "Scripts/fetch-model")
    }
  }

  @Test func `files and folders that are no models`() throws {
    try withTemporaryDirectory { folder in
      let whole = TinyModel().bytes()
      try makeDirectory("empty", in: folder)
      var strange = TinyModel()
      strange.architecture = "strange"
      var quantised = TinyModel().writer()
      for index in quantised.tensors.indices where quantised.tensors[index].name == "blk.0.ffn_up.weight" {
        quantised.tensors[index].type = 10
      }
      var unknown = quantised
      for index in unknown.tensors.indices where unknown.tensors[index].type == 10 { unknown.tensors[index].type = 999 }
      var vocabulary = TinyModel().writer()
      vocabulary.metadata.removeAll { $0.key == "tokenizer.ggml.tokens" }
      let cases: [(String, [UInt8], [String])] = [
        ("text.gguf", Array("This is no model.".utf8), []), ("empty.gguf", [], []),
        ("magic.gguf", Array("GGUF".utf8), []),
        ("header.gguf", Array(whole.prefix(1000)), []), ("truncated.gguf", Array(whole.dropLast(5000)), ["output"]),
        ("strange.gguf", strange.bytes(), ["strange", "llama"]),
        ("q2k.gguf", quantised.bytes(), ["blk.0.ffn_up.weight", "Q2_K"]),
        ("type999.gguf", unknown.bytes(), ["blk.0.ffn_up.weight", "999"]),
        ("vocabulary.gguf", vocabulary.bytes(), ["tokenizer.ggml.tokens"]),
      ]
      for (name, bytes, parts) in cases {
        let path = try write(bytes, to: name, in: folder)
        let result = try Sluice.run(["run", "-m", path, "-p", "a", "-n", "1"])
        expectOneLine(result, name)
        for part in parts { #expect(result.error.contains(part), "\(result.error)") }
      }
      expectOneLine(try Sluice.run(["run", "-m", folder + "/empty", "-p", "a"]), "empty")
    }
  }

  @Test func `every truncation of a model is one line`() throws {
    try withTemporaryDirectory { folder in
      let whole = TinyModel().bytes()
      for count in stride(from: 1, to: whole.count, by: whole.count / 12) {
        let path = try write(Array(whole.prefix(count)), to: "truncated.gguf", in: folder)
        expectOneLine(try Sluice.run(["run", "-m", path, "-p", "a", "-n", "1"]))
      }
    }
  }

  @Test(arguments: [
    ("nonsense", ["nonsense", "full", "streaming-llm:SINKS+WINDOW", "window:SIZE", "sinks:COUNT"]),
    ("window:8[colour=red]", ["colour"]), ("streaming-llm:4+508[x=1]", ["'x'"]), ("window:0", ["window:0"]),
    ("window", []),
    ("window:many", ["many"]), ("sinks:4", ["recent"]), ("window:8,sinks:4", ["first"]), ("", []),
    ("full,window:8", []),
    ("window:8,", []), ("window:8[", ["bracket"]), ("streaming-llm:4", []), ("window:99999999999999999999", []),
  ])
  func `a bad cache says what is wrong`(cache: String, parts: [String]) throws {
    try withTemporaryDirectory { folder in
      let path = try TinyModel().write(in: folder)
      let text = try write("some text", to: "text.txt", in: folder)
      // All commands read it in one place, so one case for each of them is enough.
      let commands = [
        ["inspect"], ["run", "-p", "a", "-n", "1"], ["chat"], ["evaluate", "perplexity", text], ["evaluate", "recall"],
      ]
      for command in cache == "nonsense" ? commands : Array(commands.prefix(1)) {
        let result = try Sluice.run(command + ["-m", path, "--cache", cache])
        expectOneLine(result, "'")
        for part in parts { #expect(result.error.contains(part), "\(result.error)") }
      }
    }
  }

  @Test func `adapters that cannot be used`() throws {
    try withTemporaryDirectory { folder in
      let path = try TinyModel().write(in: folder)
      var spoiled = TinyAdapter().writer()
      spoiled.tensors.removeAll { $0.name == TinyAdapter.name(0, "q_proj", "B") }
      var dora = TinyAdapter()
      dora.config += #", "use_dora": true"#
      let lone = try TinyAdapter().write(to: "lone", in: folder, tensors: spoiled)
      let cases: [(String, [String])] = [
        (folder + "/none", ["cannot be opened"]), (folder, ["adapter_config.json"]), (path, ["no adapter"]),
        (lone, ["layers.0.self_attn.q_proj.lora_A", "lora_B"]),
        (try dora.write(to: "dora", in: folder), ["use_dora"]),
      ]
      for (adapter, parts) in cases {
        for command in [["run", "-p", "a", "-n", "1"], ["inspect"]] {
          let result = try Sluice.run(command + ["-m", path, "--lora", adapter + ":0.5"])
          expectOneLine(result, adapter)
          for part in parts { #expect(result.error.contains(part), "\(result.error)") }
        }
      }
      // What only meets the model's shapes shows when it is loaded.
      var wide = TinyAdapter().writer()
      wide.add("base_model.model.lm_head.lora_A.weight", [1, 31], [Float](repeating: 1, count: 31))
      wide.add("base_model.model.lm_head.lora_B.weight", [268, 1], [Float](repeating: 1, count: 268))
      let adapter = try TinyAdapter().write(to: "wide", in: folder, tensors: wide)
      for command in [["run", "-p", "a", "-n", "1"], ["chat"], ["bench"], ["evaluate", "perplexity", path]] {
        expectOneLine(try Sluice.run(command + ["-m", path, "--lora", adapter]), adapter, "lm_head", "[1, 31]")
      }
    }
  }

  @Test func `texts that cannot be read`() throws {
    try withTemporaryDirectory { folder in
      let path = try TinyModel().write(in: folder)
      for command in [
        ["run", "-n", "1", "-f"], ["tokenize", "-f"], ["evaluate", "perplexity"], ["evaluate", "recall"],
      ] {
        let arguments = { (text: String) in command + [text, "-m", path] }
        expectOneLine(try Sluice.run(arguments("/no/such.txt")), "/no/such.txt")
        expectOneLine(try Sluice.run(arguments(folder)), folder, "directory")
        expectOneLine(try Sluice.run(arguments(path + "/inside")), "inside")
        #if os(Linux)
          // It can be opened, but reading at its start is an error.
          expectOneLine(try Sluice.run(arguments("/proc/self/mem")), "cannot be read")
        #endif
      }
      expectOneLine(try Sluice.run(["evaluate", "perplexity", "/dev/null", "-m", path]), "fewer than two tokens")
      expectOneLine(try Sluice.run(["run", "-p", "", "-m", path]), "empty")
      expectOneLine(try Sluice.run(["demo", "/dev/null", "-m", path], directory: folder), "fewer than two tokens")
      try makeDirectory("nothing", in: folder)
      expectOneLine(try Sluice.run(["demo", "-m", path], directory: folder + "/nothing"), "no text")
    }
  }

  @Test func `an instruction set that is not there`() throws {
    try withTemporaryDirectory { folder in
      let path = try TinyModel().write(in: folder)
      for command in [["run", "-p", "a", "-n", "1"], ["inspect"]] {
        expectOneLine(
          try Sluice.run(command + ["-m", path], environment: ["SLUICE_ISA": "nonsense"]), "nonsense", "scalar")
      }
    }
  }

  @Test func `a cache that no machine could hold`() throws {
    try withTemporaryDirectory { folder in
      let path = try TinyModel().write(in: folder)
      // At least 100 GiB: 2^29 tokens of 2 x 2 x 2 x 8 floats.
      for cache in ["streaming-llm:268435456+268435456", "window:268435456,window:268435456"] {
        #expect(try Sluice.run(["inspect", "-m", path, "--cache", cache]).status == 0)
        expectOneLine(
          try Sluice.run(["run", "-m", path, "-p", "a", "-n", "1", "--cache-type", "f32", "--cache", cache]), "memory")
      }
    }
  }

  @Test func `numbers of a hostile model do not overflow`() throws {
    try withTemporaryDirectory { folder in
      var writer = TinyModel().writer()
      let huge: [String: GGUFWriter.Value] = [
        "llama.block_count": .uint32(4096), "llama.attention.head_count": .uint32(4096),
        "llama.attention.head_count_kv": .uint32(4096), "llama.context_length": .uint64(1 << 40),
      ]
      writer.metadata = writer.metadata.map { ($0.key, huge[$0.key] ?? $0.value) }
      writer.metadata.append(("llama.attention.key_length", .uint32(4096)))
      let path = try write(writer.bytes(), to: "huge.gguf", in: folder)
      expectOneLine(try Sluice.run(["inspect", "-m", path, "--cache", "window:268435456"]), "huge.gguf")
      expectOneLine(try Sluice.run(["run", "-p", "a", "-m", path]), "huge.gguf")
    }
  }
}
