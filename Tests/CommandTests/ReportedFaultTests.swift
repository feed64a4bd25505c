import Foundation
import TestSupport
import Testing

/// What users of other programs have reported of options and files; none of it may end the command by a signal.
@Suite struct ReportedFaultTests {
  private func withModel<Value>(
    _ tiny: TinyModel = TinyModel(), _ change: (inout GGUFWriter) -> Void = { _ in },
    _ body: (_ model: String, _ folder: String) throws -> Value
  ) throws -> Value {
    try withTemporaryDirectory { folder in
      var writer = tiny.writer()
      change(&writer)
      return try body(write(writer.bytes(), to: "tiny.gguf", in: folder), folder)
    }
  }

  @Test func `quantised slots that do not fit the head are one line in every command`() throws {
    try withModel { model, folder in
      let text = try write("some text that is read", to: "text.txt", in: folder)
      let commands = [
        ["run", "-p", "a", "-n", "1"], ["inspect"], ["inspect", "--json"], ["chat"],
        ["evaluate", "perplexity", text], ["evaluate", "recall", "--lengths", "500"],
        ["evaluate", "attention", text, "--at", "4"], ["evaluate", "error", text, "--at", "4"],
        ["bench", "--prefill", "4", "--decode", "1"],
      ]
      for plan in ["full", "window:32", "h2o:32"] {
        for command in plan == "full" ? commands : Array(commands.prefix(3)) {
          let result = try Sluice.run(command + ["-m", model, "--cache", plan, "--cache-type", "q8_0"])
          #expect(result.status == 1 && !result.crashed && result.errorLines.count == 1, "\(command) \(result)")
          #expect(result.error.contains("q8_0 do not fit heads of 8 dimensions"), "\(command) \(result)")
        }
      }
      let heads = try Sluice.run([
        "bench", "--attention", "--heads", "2/1x8", "--prefill", "64", "--cache", "full", "--cache-type", "q8_0",
      ])
      #expect(heads.status == 1 && !heads.crashed, "\(heads)")
    }
  }

  @Test func `files may have names of one letter`() throws {
    try withModel { model, folder in
      for name in ["x", "7", "é", "xy", "./a", folder + "/z"] {
        let result = try Sluice.run(
          ["evaluate", "attention", "t", "-m", "m", "--at", "4", "--cache", "window:4", "--plot", name],
          directory: try prepared(folder, model))
        #expect(result.status == 0 && !result.crashed, "\(name): \(result)")
        #expect(FileManager.default.fileExists(atPath: name.hasPrefix("/") ? name : folder + "/" + name))
      }
      let demo = try Sluice.run(
        ["demo", "t", "-m", "m", "--tokens", "8", "--budget", "8", "--output", "7"], directory: folder)
      #expect(demo.status == 0 && !demo.crashed, "\(demo)")
    }
  }

  #if os(Linux)
    /// Other systems have no such names.
    @Test func `names of files may be no UTF-8`() throws {
      try withModel { model, folder in
        let plain = try Sluice.run(["run", "-m", model, "-p", "Hello", "-n", "6", "--temp", "0"])
        let script = #"""
          n="$(printf 'm\377')"; cp tiny.gguf "$n.gguf"; printf Hello > "$n.txt"
          "$0" run -m "$n.gguf" -f "$n.txt" -n 6 --temp 0
          """#
        let result = try Sluice.runInShell(script, directory: folder)
        #expect(result.status == 0 && result.output == plain.output, "\(result)")
        let absent = try Sluice.runInShell(#""$0" run -m "$(printf 'n\377')" -p a"#, directory: folder)
        #expect(absent.status == 1 && !absent.crashed && absent.errorLines.count == 1, "\(absent)")
      }
    }
  #endif

  @Test func `a model gets the system message of its own template alone`() throws {
    let plain = "{% for m in messages %}<|im_start|>{{ m.role + '\n' + m.content }}<|im_end|>\n{% endfor %}"
    let head = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    let named = "<|im_start|>system\nYou are named SmolLM<|im_end|>\n"
    var outputs: [String] = []
    for template in [nil, plain + "\n" + head, named + plain + "\n" + head] as [String?] {
      try withModel(
        TinyModel(), { if let template { $0.metadata.append(("tokenizer.chat_template", .string(template))) } }
      ) {
        model, _ in
        let result = try Sluice.run(["run", "-m", model, "--chat", "-p", "Hello", "-n", "12", "--temp", "0"])
        #expect(result.status == 0)
        outputs.append(result.output)
      }
    }
    #expect(outputs[0] == outputs[1] && outputs[0] != outputs[2], "\(outputs)")
  }

  /// A model and a text with names of one letter.
  private func prepared(_ folder: String, _ model: String) throws -> String {
    for (name, path) in [("m", model), ("t", try write("some text", to: "text", in: folder))]
    where !FileManager.default.fileExists(atPath: folder + "/" + name) {
      try FileManager.default.copyItem(atPath: path, toPath: folder + "/" + name)
    }
    return folder
  }

  @Test(arguments: [
    ["bench", "--prefill"], ["bench", "--decode"], ["bench", "--rounds"], ["bench", "--depth"], ["demo", "--tokens"],
    ["demo", "--budget"], ["demo", "--seconds"], ["evaluate", "recall", "--answer-tokens"],
    ["evaluate", "recall", "--cases"],
    ["evaluate", "sketch", "--seeds"], ["chat", "--undo"],
  ])
  func `counts near 2^63 are bad usage`(option: [String]) throws {
    for count in [Int.max, Int.max - 1, 1 << 62] {
      let result = try Sluice.run(option.dropLast() + ["\(option.last ?? "")=\(count)"])
      #expect(result.status == 2 && !result.crashed && result.errorLines.count == 2, "\(option): \(result)")
    }
  }

  @Test func `values may begin with a hyphen`() throws {
    try withModel { model, _ in
      for prompt in ["- item", "-", "--", "---", "-n", "--stop", "-0.5", "—"] {
        let result = try Sluice.run(["tokenize", "-m", model, "--json", "-p", prompt])
        #expect(result.status == 0, "\(prompt): \(result)")
        let joined = try Sluice.run(["tokenize", "-m", model, "--json", "--prompt=\(prompt)"])
        #expect(result.output == joined.output && result.output.count > 3, "\(prompt): \(result)")
      }
      let options = [
        ["--stop", "---"], ["--stop", "-", "--stop", "--end"], ["--presence-penalty", "-0.5"],
        ["--frequency-penalty", "-1"],
      ]
      for option in options {
        let result = try Sluice.run(["run", "-m", model, "-p", "Hi", "-n", "2", "--temp", "0"] + option)
        #expect(result.status == 0, "\(option): \(result)")
      }
      let negative = try Sluice.run(["run", "-m", model, "-p", "Hi", "--temp", "-1"])
      #expect(negative.status == 2 && negative.error.contains("temperature"), "\(negative)")
      // What follows the two hyphens is no option.
      #expect(try Sluice.run(["evaluate", "perplexity", "-m", model, "--", "-m"]).status == 1)
    }
  }

  @Test func `special tokens that do not exist are a warning`() throws {
    for id in [.uint32(.max), .uint64(.max), .float32(.infinity)] as [GGUFWriter.Value] {
      try withModel(
        TinyModel(), { $0.metadata = $0.metadata.map { $0.key.hasSuffix("eos_token_id") ? ($0.key, id) : $0 } }
      ) { model, folder in
        let plain = try TinyModel().write(to: "plain.gguf", in: folder)
        let arguments = ["-p", "Hello", "-n", "6", "--temp", "0"]
        let result = try Sluice.run(["run", "-m", model] + arguments)
        #expect(try result.status == 0 && result.output == Sluice.run(["run", "-m", plain] + arguments).output)
        #expect(
          result.errorLines.count == 1 && result.error.hasPrefix("sluice: warning: the tokenizer's end-of-sequence"))
      }
    }
  }

  @Test func `tokens without rows are a warning, and text does not become them`() throws {
    let more = ["<pad>", "qq"]
    try withModel(
      TinyModel(),
      { writer in
        writer.metadata = writer.metadata.map { key, value in
          switch key {
          case "tokenizer.ggml.tokens": (key, .strings(TinyModel.tokens + more))
          case "tokenizer.ggml.token_type":
            (key, .int32s(TinyModel.tokens.indices.map { $0 < TinyModel.specialTokens.count ? 3 : 1 } + [3, 1]))
          case "tokenizer.ggml.merges": (key, .strings(["q q"] + TinyModel.merges))
          default: (key, value)
          }
        }
      }
    ) { model, folder in
      let plain = try TinyModel().write(to: "plain.gguf", in: folder)
      let arguments = ["-p", "qqqq <pad>", "--special", "-n", "6", "--temp", "0"]
      let result = try Sluice.run(["run", "-m", model] + arguments)
      #expect(
        try result.status == 0 && result.output == Sluice.run(["run", "-m", plain] + arguments).output, "\(result)")
      #expect(result.errorLines.count == 1 && result.error.contains("knows 270 tokens, but the model only 268"))
    }
  }

  @Test func `a begin-of-sequence token that is typed is not added again`() throws {
    try withModel(
      TinyModel(), { $0.metadata = $0.metadata.map { $0.key.hasSuffix("add_bos_token") ? ($0.key, .bool(true)) : $0 } }
    ) { model, _ in
      let arguments = ["run", "-m", model, "-n", "8", "--temp", "0", "--special", "-p"]
      let once = try Sluice.run(arguments + ["Hello"])
      let typed = try Sluice.run(arguments + ["<|im_start|>Hello"])
      #expect(once.status == 0 && typed.output == once.output)
      #expect(once.error.isEmpty && typed.error.contains("read once"), "\(typed.error)")
    }
  }

  @Test func `byte-level BPE without merges is refused`() throws {
    try withModel(TinyModel(), { $0.metadata.removeAll { $0.key.hasSuffix("merges") } }) { model, _ in
      for command in [["run", "-n", "1"], ["tokenize"]] {
        let result = try Sluice.run(command + ["-m", model, "-p", "zz"])
        #expect(result.status == 1 && result.errorLines.count == 1 && result.error.contains("tokenizer.ggml.merges"))
      }
    }
  }
}
