import Kernels
import ModelJSON
import Models
import TestSupport
import Testing
import Weights

/// Adapters that cannot be applied: one line with the file and what is wrong with it.
struct HostileAdapterTests {
  /// The error's text of loading a tiny model with an adapter at a path, nil where it loads.
  private func failure(_ path: String, in folder: String, scale: Double = 1) throws -> String? {
    let model = try TinyModel().write(in: folder)
    do {
      let adapter = try LowRankAdapter(WeightFile.openAdapter(path), scale: scale)
      _ = try ModelRegistry.load(WeightFile.open(model), adapters: [adapter], team: WorkerTeam(threads: 1))
      return nil
    } catch let error as ModelError {
      return error.description
    } catch let error as WeightsError {
      return error.description
    }
  }

  private func expectFailure(
    _ tensors: SafetensorsWriter?, _ parts: [String], adapter: TinyAdapter = TinyAdapter(), scale: Double = 1,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    try withTemporaryDirectory { folder in
      let path = try adapter.write(in: folder, tensors: tensors)
      let text = try #require(try failure(path, in: folder, scale: scale), sourceLocation: sourceLocation)
      #expect(text.contains(path) && !text.contains("\n"), "\(text)", sourceLocation: sourceLocation)
      for part in parts { #expect(text.contains(part), "\(text)", sourceLocation: sourceLocation) }
    }
  }

  @Test func `a whole adapter loads`() throws {
    try withTemporaryDirectory { folder in
      let directory = try TinyAdapter().write(in: folder)
      let gguf = try write(TinyAdapter().ggufWriter().bytes(), to: "adapter.gguf", in: folder)
      for path in [directory, directory + "/adapter_model.safetensors", gguf] {
        #expect(try failure(path, in: folder) == nil)
      }
    }
  }

  @Test(arguments: [
    (#""use_dora": true"#, "use_dora"), (#""fan_in_fan_out": true"#, "fan_in_fan_out"), (#""lora_bias": true"#, "bias"),
    (#""bias": "all""#, "bias 'all'"), (#""modules_to_save": ["lm_head"]"#, "modules_to_save"),
    (#""layer_replication": [[0, 1]]"#, "layer_replication"), (#""init_lora_weights": "pissa_niter_4""#, "pissa"),
    (#""trainable_token_indices": {"embed_tokens": [1]}"#, "trainable_token_indices"),
    (#""alpha_pattern": {".*q_proj": 2}"#, ".*q_proj"), (#""alpha_pattern": {"q_proj": "2"}"#, "alpha_pattern"),
    (#""alpha_pattern": 3"#, "alpha_pattern"), (#""lora_alpha": "many""#, "lora_alpha"),
    (#""lora_alpha": 1e999"#, "adapter_config.json"), (#""r": 4"#, "lora_alpha"),
    (#""use_rslora": 1"#, "use_rslora"),
  ])
  func `what changes more than low-rank terms is refused by name`(member: String, part: String) throws {
    var adapter = TinyAdapter()
    adapter.config = member.contains("lora_alpha") || member.contains("\"r\"") ? member : member + #", "lora_alpha": 8"#
    try withTemporaryDirectory { folder in
      let path = try adapter.write(in: folder)
      let text = try #require(try failure(path, in: folder))
      #expect(text.hasPrefix(path) && text.contains(part) && !text.contains("\n"), "\(text)")
    }
  }

  @Test func `settings that change nothing are accepted`() throws {
    var adapter = TinyAdapter()
    adapter.config = """
      "lora_alpha": 8.5, "bias": "none", "use_dora": false, "fan_in_fan_out": false, "modules_to_save": null,
      "layer_replication": null, "alpha_pattern": {}, "rank_pattern": {}, "init_lora_weights": true, "lora_dropout": 0.1
      """
    try withTemporaryDirectory { folder in
      let path = try adapter.write(in: folder)
      #expect(try failure(path, in: folder) == nil)
    }
  }

  @Test func `another kind of adapter`() throws {
    var adapter = TinyAdapter()
    adapter.type = #""peft_type": "IA3""#
    try expectFailure(nil, ["IA3"], adapter: adapter)
  }

  @Test func `tensors that do not fit`() throws {
    let a = TinyAdapter.name(1, "v_proj", "A")
    let b = TinyAdapter.name(1, "v_proj", "B")
    func changed(_ change: (inout SafetensorsWriter) -> Void) -> SafetensorsWriter {
      var writer = TinyAdapter(encoding: .float32).writer()
      change(&writer)
      return writer
    }
    func replacing(_ name: String, _ shape: [Int], _ value: Float = 1) -> SafetensorsWriter {
      changed { writer in
        writer.tensors.removeAll { $0.name == name }
        writer.add(name, shape, [Float](repeating: value, count: shape.reduce(1, *)))
      }
    }
    try expectFailure(changed { $0.tensors.removeAll { $0.name == b } }, [a, b, "partner"])
    try expectFailure(changed { $0.tensors.removeAll { $0.name == a } }, [a, b, "partner"])
    try expectFailure(replacing(a, [4, 31]), [a, "[4, 31]", "[4, 32]"])
    try expectFailure(replacing(b, [17, 4]), [b, "[17, 4]", "[16, 4]"])
    try expectFailure(replacing(b, [16, 5]), [a, b, "rank 4"])
    try expectFailure(replacing(a, [32, 4]), [a, b, "rank 32"])
    try expectFailure(replacing(a, [128]), [a, "[128]"])
    try expectFailure(replacing(a, [4, 32], .nan), [a, "not finite"])
    try expectFailure(replacing(b, [16, 4], .infinity), [b, "not finite"])
    try expectFailure(replacing(b, [16, 4], 1e38), [b, "overflows"], scale: 100)
    try expectFailure(nil, ["scale", "nan"], scale: .nan)
    for name in [
      "base_model.model.model.layers.2.self_attn.q_proj", "base_model.model.model.layers.0.mlp.experts.0",
      "base_model.model.model.embed_tokens",
    ] {
      let writer = changed { writer in
        writer.add(name + ".lora_A.weight", [1, 32], [Float](repeating: 1, count: 32))
        writer.add(name + ".lora_B.weight", [32, 1], [Float](repeating: 1, count: 32))
      }
      try expectFailure(writer, [name, name.hasSuffix("embed_tokens") ? "the embedding" : "does not have"])
    }
    for name in ["base_model.model.lm_head.weight", "base_model.model.model.embed_tokens.lora_embedding_A"] {
      try expectFailure(changed { $0.add(name, [1], [1]) }, [name, "no factor"])
    }
    try expectFailure(changed { $0.tensors = [] }, ["no low-rank factors"])
    try expectFailure(replacing(a, [1 << 15, 1]), [a, "rank 32768"])
  }

  @Test func `every truncation of the tensors throws`() throws {
    try withTemporaryDirectory { folder in
      let path = try TinyAdapter().write(in: folder)
      let whole = TinyAdapter().writer().bytes()
      for count in stride(from: 0, to: whole.count, by: 97) {
        try write(Array(whole.prefix(count)), to: "adapter_model.safetensors", in: path)
        #expect(try failure(path, in: folder)?.contains(path) == true)
      }
    }
  }

  @Test func `GGUF files that are no adapters, or others' adapters`() throws {
    let cases: [(String, GGUFWriter.Value?, [String])] = [
      ("general.type", .string("model"), ["no adapter"]), ("general.type", nil, ["no adapter"]),
      ("adapter.type", .string("ia3"), ["ia3"]), ("adapter.type", nil, ["adapter.type"]),
      ("general.architecture", .string("gemma3"), ["gemma3", "llama"]),
      ("adapter.lora.alpha", .float32(.nan), ["adapter.lora.alpha", "nan"]),
      ("adapter.lora.alpha", .string("8"), ["adapter.lora.alpha"]),
    ]
    for (key, value, parts) in cases {
      try withTemporaryDirectory { folder in
        var writer = TinyAdapter().ggufWriter()
        writer.metadata.removeAll { $0.key == key }
        if let value { writer.metadata.append((key, value)) }
        let path = try write(writer.bytes(), to: "adapter.gguf", in: folder)
        let text = try #require(try failure(path, in: folder))
        for part in [path] + parts { #expect(text.contains(part), "\(text)") }
      }
    }
  }

  @Test func `files and folders that are no adapters`() throws {
    try withTemporaryDirectory { folder in
      let model = try TinyModel().write(in: folder)
      try makeDirectory("empty", in: folder)
      try makeDirectory("half", in: folder)
      try write(#"{"peft_type": "LORA", "lora_alpha": 1}"#, to: "adapter_config.json", in: folder + "/half")
      let text = try write("This is no adapter.", to: "text.txt", in: folder)
      let cases = [
        (folder + "/none", "cannot be opened"), (folder + "/empty", "adapter_config.json"),
        (folder + "/half", "adapter_model.safetensors"), (text, "neither GGUF nor safetensors"), (model, "no adapter"),
      ]
      for (path, part) in cases {
        let text = try #require(try failure(path, in: folder))
        #expect(text.contains(path) && text.contains(part), "\(text)")
      }
    }
  }
}
