import TestSupport
import Testing
import Weights

/// Directories as Hugging Face lays them out, whole, in shards, incomplete and hostile.
struct HuggingFaceDirectoryTests {
  private func shards() -> (first: [UInt8], second: [UInt8]) {
    var first = SafetensorsWriter()
    first.add("a", [2], [1, 2])
    first.add("unlisted", [1], [9])
    var second = SafetensorsWriter()
    second.add("b", [3], [3, 4, 5], as: .bfloat16)
    return (first.bytes(), second.bytes())
  }

  @Test func opensASingleFile() throws {
    try withTemporaryDirectory { folder in
      try write(sampleConfig, to: "config.json", in: folder)
      try write("{}", to: "tokenizer.json", in: folder)
      try write(sampleSafetensors().bytes(), to: "model.safetensors", in: folder)
      for path in [folder, folder + "/model.safetensors"] {
        let model = try WeightFile.open(path)
        #expect(model.format == .huggingFace)
        #expect(model.tensorNames == sampleSafetensors().tensors.map(\.name))
        #expect(try model.tensor("model.norm.weight").floats() == [1, -2, 0.5, 3e-5, 65504])
        #expect(try model.tensor("model.half.weight").floats() == [1, -2, 0.5, 0.0999755859375, 65504, 0x1p-24])
        #expect(try model.tensor("model.half.weight").info.shape == [2, 3])
        #expect(try model.tensor("model.brain.weight").floats() == [1, -2, 0.5, 3.140625, -0x1p100, 0x1p-100])
        #expect(try model.tensor("model.scale").floats() == [0.25])
        #expect(try model.metadata.integer("hidden_size") == 64)
        #expect(model.tokenizerJSONPath == folder + "/tokenizer.json")
        #expect(model.tokenizerConfigJSONPath == nil)
      }
    }
  }

  @Test func readsTheConfigurationByPaths() throws {
    try withTemporaryDirectory { folder in
      try write(sampleConfig, to: "config.json", in: folder)
      try write(sampleSafetensors().bytes(), to: "model.safetensors", in: folder)
      let metadata = try WeightFile.open(folder).metadata
      #expect(try metadata.strings("architectures") == ["LlamaForCausalLM"])
      #expect(try metadata.double("rms_norm_eps") == 1e-5)
      #expect(try metadata.double("hidden_size") == 64)
      #expect(try metadata.integer("rope_theta") == 10000)
      #expect(try metadata.bool("tie_word_embeddings") == true)
      #expect(try metadata.string("rope_scaling.type") == "linear")
      #expect(try metadata.double("rope_scaling.factor") == 2.5)
      #expect(try metadata.integer("rope_scaling.deep.er") == 1)
      #expect(try metadata.integer("a.b") == 3)
      #expect(try metadata.integers("eos_token_id") == [1, 2])
      #expect(try metadata.integer(ifPresent: "sliding_window") == nil)
      #expect(try metadata.string(ifPresent: "hidden_size.type") == nil)
      #expect(try metadata.summary("eos_token_id") == "[1, 2]")
      #expect(metadata.keys.contains("rope_scaling.deep.er") && !metadata.keys.contains("rope_scaling"))
      let error = try #require(throws: WeightsError.self) { try metadata.integer("rope_scaling.type") }
      #expect(error.description.contains("config.json: metadata 'rope_scaling.type' is a string, not an integer"))
    }
  }

  @Test func opensShards() throws {
    try withTemporaryDirectory { folder in
      try write("{}", to: "config.json", in: folder)
      try write(shards().first, to: "one.safetensors", in: folder)
      try write(shards().second, to: "two.safetensors", in: folder)
      try write(
        "{\"weight_map\":{\"b\":\"two.safetensors\",\"a\":\"one.safetensors\"}}",
        to: "model.safetensors.index.json", in: folder)
      let model = try WeightFile.open(folder)
      #expect(model.tensorNames == ["b", "a"])
      #expect(model.files.count == 2)
      #expect(try model.tensor("a").floats() == [1, 2])
      #expect(try model.tensor("b").floats() == [3, 4, 5])
      #expect(!model.hasTensor("unlisted"))
    }
  }

  @Test(arguments: [
    ("{\"weight_map\":{\"a\":\"three.safetensors\"}}", "three.safetensors: cannot be opened: No such file"),
    ("{\"weight_map\":{\"c\":\"one.safetensors\"}}", "tensor 'c' is not in 'one.safetensors', where the index"),
    ("{\"weight_map\":{\"b\":\"one.safetensors\"}}", "tensor 'b' is not in 'one.safetensors', where the index"),
    ("{\"weight_map\":{\"a\":\"../one.safetensors\"}}", "names the file '../one.safetensors', which is not a plain"),
    ("{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "names the file '/etc/passwd', which is not a plain"),
    ("{\"weight_map\":{\"a\":\"..\"}}", "names the file '..', which is not a plain"),
    ("{\"weight_map\":{\"a\":\"\"}}", "names the file '', which is not a plain"),
    ("{\"weight_map\":{\"a\":\"one.safetensors\\u0000x\"}}", "which is not a plain"),
    ("{\"weight_map\":{\"a\":\"..\\\\one.safetensors\"}}", "which is not a plain"),
    ("{\"weight_map\":{\"a\":1}}", "names the file 'an integer', which is not a plain"),
    ("{\"weight_map\":{\"a\":\"folder\"}}", "folder: is no regular file"),
    ("{\"weight_map\":{\"a\":\"text\"}}", "text: claims"), ("{\"weight_map\":[]}", "has no object weight_map"),
    ("{}", "has no object weight_map"), ("[]", "index.json: is an array, not an object"),
    ("{\"weight_map\":", "index.json: line 1, column 15: expected a value"),
  ])
  func refusesTheIndex(_ index: String, _ expected: String) throws {
    try withTemporaryDirectory { folder in
      try write("{}", to: "config.json", in: folder)
      try write(shards().first, to: "one.safetensors", in: folder)
      try write("just some text", to: "text", in: folder)
      try makeDirectory("folder", in: folder)
      try write(index, to: "model.safetensors.index.json", in: folder)
      let error = try #require(throws: WeightsError.self) { try WeightFile.open(folder) }
      #expect(error.description.contains(expected), "\(error)")
      #expect(!error.description.contains("\n"))
    }
  }

  /// As in Python, the last one counts.
  @Test func takesRepeatedMembers() throws {
    try withTemporaryDirectory { folder in
      try write("{\"hidden_size\":1,\"x\":Infinity,\"hidden_size\":2}", to: "config.json", in: folder)
      try write(shards().first, to: "one.safetensors", in: folder)
      try write(
        "{\"weight_map\":{\"a\":\"one.safetensors\",\"a\":\"one.safetensors\"}}", to: "model.safetensors.index.json",
        in: folder)
      let model = try WeightFile.open(folder)
      #expect(try model.metadata.integer("hidden_size") == 2 && model.metadata.double("x") == .infinity)
      #expect(model.tensorNames == ["a"])
    }
  }

  /// A repository without its large files: each of them may be a pointer.
  @Test(arguments: ["config.json", "model.safetensors", "model.safetensors.index.json", "one.safetensors"])
  func namesPointers(_ name: String) throws {
    try withTemporaryDirectory { folder in
      try write("{}", to: "config.json", in: folder)
      if name != "model.safetensors" {
        try write("{\"weight_map\":{\"a\":\"one.safetensors\"}}", to: "model.safetensors.index.json", in: folder)
      }
      try write("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", to: name, in: folder)
      let error = try #require(throws: WeightsError.self) { try WeightFile.open(folder) }
      #expect(error.description.contains("\(name): is a Git LFS pointer"), "\(error)")
    }
  }

  /// Tied embeddings are stored once; the header's strings say under which other name.
  @Test func findsTensorsByTheirSecondNames() throws {
    var writer = SafetensorsWriter()
    writer.metadata = [
      ("format", "pt"), ("embed", "head"), ("head", "other"), ("chain", "embed"), ("nothing", "absent"),
    ]
    writer.add("head", [2], [1, 2])
    writer.add("other", [1], [3])
    try withTemporaryDirectory { folder in
      try write("{}", to: "config.json", in: folder)
      try write(writer.bytes(), to: "model.safetensors", in: folder)
      let model = try WeightFile.open(folder)
      #expect(model.tensorNames == ["head", "other"])
      #expect(try model.tensor("embed").floats() == [1, 2])
      #expect(try model.tensor("embed").info.name == "embed")
      #expect(try model.tensor("head").floats() == [1, 2])
      #expect(!model.hasTensor("chain") && !model.hasTensor("nothing") && !model.hasTensor("format"))
    }
  }

  @Test func saysWhatADirectoryLacks() throws {
    try withTemporaryDirectory { folder in
      let bare = try #require(throws: WeightsError.self) { try WeightFile.open(folder) }
      #expect(bare.description.contains("has no config.json; a model's directory holds"))
      try write("{}", to: "config.json", in: folder)
      let empty = try #require(throws: WeightsError.self) { try WeightFile.open(folder) }
      #expect(empty.description.contains("has no model.safetensors and no model.safetensors.index.json"))
      try write("{", to: "config.json", in: folder)
      let broken = try #require(throws: WeightsError.self) { try WeightFile.open(folder) }
      #expect(broken.description.contains("config.json: line 1, column 2: expected a key"))
      try write("[]", to: "config.json", in: folder)
      let list = try #require(throws: WeightsError.self) { try WeightFile.open(folder) }
      #expect(list.description.contains("config.json: is an array, not an object"))
    }
  }

  @Test(arguments: [
    ("", "is neither GGUF nor safetensors"), ("GGU", "is neither GGUF nor safetensors"),
    ("Once upon a time", "is neither GGUF nor safetensors"), ("GGUF", "ends inside the version"),
    ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer"),
    ("12345678{", "for the length of the header"),
  ])
  func refusesOtherFiles(_ text: String, _ expected: String) throws {
    try withTemporaryDirectory { folder in
      let path = try write(text, to: "model", in: folder)
      let error = try #require(throws: WeightsError.self) { try WeightFile.open(path) }
      #expect(error.description.contains(expected), "\(error)")
    }
  }

  @Test func refusesWhatIsNoFile() throws {
    let absent = try #require(throws: WeightsError.self) { try WeightFile.open("/no/such/model") }
    #expect(absent.description == "/no/such/model: cannot be opened: No such file or directory")
    let device = try #require(throws: WeightsError.self) { try WeightFile.open("/dev/null") }
    #expect(device.description == "/dev/null: is no regular file")
  }
}
