import Engine
import TestSupport
import Testing
import Tokenizers
import Weights

/// What a model's other files say about the end of an answer.
@Suite struct TokenizerLoadingTests {
  private static let tokenizer = """
    {"added_tokens": [{"id": 2, "content": "<end>", "special": true}, {"id": 3, "content": "<more>", "special": true}],
     "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
     "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}}
    """

  private static let cases: [(config: String, generation: String?, ends: Set<Int32>)] = [
    ("{}", nil, []), (#"{"eos_token_id": 2}"#, nil, [2]), (#"{"eos_token_id": [2, 3]}"#, nil, [2, 3]),
    ("{}", #"{"eos_token_id": 3}"#, [3]), (#"{"eos_token_id": 2}"#, #"{"eos_token_id": [3, 1]}"#, [1, 2, 3]),
    (#"{"text_config": {"eos_token_id": 2}}"#, #"{"eos_token_id": null}"#, [2]),
    (#"{"eos_token_id": null}"#, "{}", []), (#"{"eos_token_id": 2}"#, #"{"eos_token_id": 99}"#, [2]),
    (#"{"eos_token_id": [2, null, "a"]}"#, nil, [2]), (#"{"eos_token_id": "a"}"#, #"{"eos_token_id": [[1], 3]}"#, [3]),
    (#"{"eos_token_id": [2, 9223372036854775807, 9.9e99]}"#, nil, [2]), (#"{"eos_token_id": Infinity}"#, nil, []),
  ]

  @Test(arguments: cases)
  func `tokens that end an answer come from both configurations`(
    config: String, generation: String?, ends: Set<Int32>
  ) throws {
    try withTemporaryDirectory { folder in
      var weights = SafetensorsWriter()
      weights.add("a", [1], [1])
      try write(config, to: "config.json", in: folder)
      try write(weights.bytes(), to: "model.safetensors", in: folder)
      try write(Self.tokenizer, to: "tokenizer.json", in: folder)
      if let generation { try write(generation, to: "generation_config.json", in: folder) }
      let tokenizer = try Tokenizer.load(from: WeightFile.open(folder))
      #expect(tokenizer.endOfGeneration == ends)
      let isOutside = (config + (generation ?? "")).contains(/9|Infinity/)
      // Ids beyond every vocabulary are one warning together.
      #expect(tokenizer.warnings.count == (isOutside ? 1 : 0), "\(tokenizer.warnings)")
    }
  }

  @Test func `a pointer in place of tokenizer json is named`() throws {
    try withTemporaryDirectory { folder in
      var weights = SafetensorsWriter()
      weights.add("a", [1], [1])
      try write("{}", to: "config.json", in: folder)
      try write(weights.bytes(), to: "model.safetensors", in: folder)
      try write("version https://git-lfs.github.com/spec/v1\n", to: "tokenizer.json", in: folder)
      let error = try #require(throws: WeightsError.self) { try Tokenizer.load(from: WeightFile.open(folder)) }
      #expect(error.description.contains("tokenizer.json: is a Git LFS pointer"))
    }
  }
}
