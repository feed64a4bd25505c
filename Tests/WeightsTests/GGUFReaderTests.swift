import TestSupport
import Testing
import Weights

/// What a true GGUF file gives.
struct GGUFReaderTests {
  /// The mapping outlives the file's name.
  private func open(_ writer: GGUFWriter) throws -> WeightFile {
    try withTemporaryDirectory { try WeightFile.open(write(writer.bytes(), to: "model", in: $0)) }
  }

  @Test(arguments: [2, 3] as [UInt32], [8, 32, 64, 4096])
  func readsTensors(version: UInt32, alignment: Int) throws {
    var writer = sampleGGUF(alignment: alignment)
    writer.version = version
    let model = try open(writer)
    #expect(model.format == .gguf(version: Int(version)))
    #expect(model.tensorNames == writer.tensors.map(\.name))
    #expect(model.storedTensors.map(\.type.name) == ["F32", "F16", "BF16", "Q8_0", "Q4_1", "MXFP4", "IQ4_XS", "IQ2_S"])
    for written in writer.tensors where written.type != 22 {
      let tensor = try model.tensor(written.name)
      #expect(tensor.info.shape == written.dimensions.reversed().map { Int($0) })
      #expect(Array(tensor.bytes) == written.data)
    }
    #expect(try model.tensor("norm.weight").floats() == [1, -2, 0.5, 3e-5, 65504])
    #expect(try model.tensor("half.weight").floats() == [1, -2, 0.5, 0.0999755859375, 65504, 0x1p-24])
    #expect(try model.tensor("brain.weight").floats() == [1, -2, 0.5, 3.140625, -0x1p100, 0x1p-100])
    #expect(try model.tensor("blk.0.q8.weight").floats() == nil)
    #expect(try model.tensor("blk.0.q4.weight").info.rows == 4)
    #expect(try model.tensor("blk.0.q4.weight").info.columns == 32)
    #expect(model.hasTensor("norm.weight") && !model.hasTensor("norm"))
    #expect(model.tokenizerJSONPath == nil)
  }

  @Test func readsEveryKindOfValue() throws {
    let model = try open(sampleGGUF())
    let metadata = model.metadata
    #expect(try metadata.string("general.architecture") == "llama")
    for (key, value) in [
      ("u8", 255), ("i8", -128), ("u16", 65535), ("i16", -32768), ("u32", 4_294_967_295), ("i32", -2_147_483_648),
      ("u64", 1 << 62), ("i64", Int.min),
    ] {
      #expect(try metadata.integer(key) == value)
      #expect(try metadata.double(key) == Double(value))
    }
    #expect(try metadata.double("f32") == Double(Float(0.1)))
    #expect(try metadata.double("f64") == 0.1)
    #expect(try metadata.bool("yes") == true)
    #expect(try metadata.bool("no") == false)
    #expect(try metadata.string("empty") == "")
    #expect(try metadata.string("text") == "caf\u{e9}\n\u{1F600}")
    let tokens = try metadata.strings("tokens")
    #expect(tokens.map { Array($0.utf8) } == ["<s>", "", "\u{2581}the", "e\u{301}", "\u{e9}"].map { Array($0.utf8) })
    #expect(metadata.count(ofArray: "tokens") == 5)
    #expect(metadata.count(ofArray: "text") == nil)
    #expect(try metadata.floats("scores") == [0, -1.5, 2.25])
    #expect(try metadata.doubles("types") == [1, -2, 3])
    #expect(try metadata.integers("types") == [1, -2, 3])
    #expect(try metadata.bools(ifPresent: "flags") == [true, false])
    #expect(try metadata.strings("none") == [])
    #expect(try metadata.summary("tokens", elements: 1) == "[\"<s>\", ... 5 in all]")
    #expect(try metadata.summary("nested") == "[3 arrays]")
    #expect(try metadata.summary("i8") == "-128")
    #expect(metadata.contains("nested"))
  }

  @Test func saysWhatIsMissingOrOfAnotherKind() throws {
    let model = try open(sampleGGUF())
    let metadata = model.metadata
    #expect(try metadata.integer(ifPresent: "absent") == nil)
    #expect(try metadata.strings(ifPresent: "absent") == nil)
    let missing = try #require(throws: WeightsError.self) { try metadata.integer("absent") }
    #expect(missing.isMissing && missing.key == "absent")
    #expect(missing.description.hasSuffix("model: metadata 'absent' does not exist"))
    for (text, use) in [
      ("'text' is a string, not an integer", { _ = try metadata.integer("text") }),
      ("'f64' is a number, not an integer", { _ = try metadata.integer("f64") }),
      ("'huge' is a number, not an integer", { _ = try metadata.integer("huge") }),
      ("'u8' is an integer, not a string", { _ = try metadata.string("u8") }),
      ("'u8' is an integer, not true or false", { _ = try metadata.bool(ifPresent: "u8") }),
      ("'tokens' is an array, not a string", { _ = try metadata.string("tokens") }),
      ("'tokens' is an array with a string, not an array of numbers", { _ = try metadata.floats("tokens") }),
      ("'u8' is a single value, not an array of strings", { _ = try metadata.strings("u8") }),
      ("'nested' is an array of arrays, not an array of strings", { _ = try metadata.strings("nested") }),
    ] as [(String, () throws -> Void)] {
      let error = try #require(throws: WeightsError.self) { try use() }
      #expect(error.description.contains(text))
      #expect(!error.isMissing)
    }
    let tensor = try #require(throws: WeightsError.self) { try model.tensor("absent") }
    #expect(tensor.isMissing && tensor.tensor == "absent")
  }

  @Test(
    arguments: [
      (9, "Q8_1"), (15, "Q8_K"), (16, "IQ2_XXS"), (17, "IQ2_XS"), (18, "IQ3_XXS"), (19, "IQ1_S"), (21, "IQ3_S"),
      (22, "IQ2_S"), (24, "I8"), (28, "F64"), (29, "IQ1_M"), (31, "Q4_0_4_4"), (34, "TQ1_0"), (35, "TQ2_0"),
      (40, "NVFP4"), (41, "Q1_0"), (42, "Q2_0"), (77, "the unknown type 77"),
    ] as [(UInt32, String)])
  func namesTheTypesItCannotRead(_ number: UInt32, _ name: String) throws {
    var writer = GGUFWriter()
    writer.add("good.weight", [2], [1, 2])
    writer.add("blk.0.attn_q.weight", [1, 256], type: number, data: [UInt8](repeating: 0, count: 2048))
    let model = try open(writer)
    #expect(model.storedTensors[1].type.name == name)
    #expect(try model.tensor("good.weight").floats() == [1, 2])
    let error = try #require(throws: WeightsError.self) { try model.tensor("blk.0.attn_q.weight") }
    #expect(error.tensor == "blk.0.attn_q.weight")
    #expect(
      error.description.contains(
        "tensor 'blk.0.attn_q.weight' is stored as \(name), which this version cannot read; take the model as a GGUF file "
          + "in Q4_K_M or Q8_0 (types that can be read: F32, F16, "))
    #expect(!error.description.contains("\n"))
  }

  @Test func opensAFileWithoutTensors() throws {
    var writer = sampleGGUF()
    writer.tensors = []
    let model = try open(writer)
    #expect(model.tensorNames.isEmpty)
    #expect(try model.metadata.string("general.architecture") == "llama")
  }

  /// A vocabulary of the largest size in use opens without decoding it and gives every string.
  @Test func readsALargeVocabulary() throws {
    var writer = GGUFWriter()
    let tokens = (0..<256_000).map { "token \($0)" }
    writer.metadata = [("tokenizer.ggml.tokens", .strings(tokens))]
    let model = try open(writer)
    #expect(model.metadata.count(ofArray: "tokenizer.ggml.tokens") == 256_000)
    #expect(try model.metadata.strings("tokenizer.ggml.tokens") == tokens)
  }
}
