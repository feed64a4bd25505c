import Engine
import Foundation
import TestSupport
import Testing
import Weights

@testable import Tokenizers

/// Real vocabularies against ids that other implementations recorded.
@Suite("Recorded ids of real vocabularies", .enabled(if: Assets.available, "\(Assets.missing)"))
struct RecordedVocabularyTests {
  static let names = [
    "deepseek-coder", "deepseek-llm", "falcon", "gpt-2", "mpt", "refact", "starcoder", "llama-spm", "phi-3",
  ]

  @Test("Every recorded case of a GGUF vocabulary comes out id for id", arguments: names)
  func recordedCases(_ name: String) throws {
    let path = Self.path(name)
    try check(Tokenizer(TokenizerDescription(WeightFile.open(path).metadata)), path, name)
  }

  /// These pairs come without their GGUF file.
  @Test("Llama 3 from its merges, and Qwen 2 from its ranks, come out id for id")
  func recordedCasesOfOtherFormats() throws {
    let llama3 = try Tokenizer(OtherFormats.llama3(folder: Assets.path("tokenizers/llama3")))
    try check(llama3, Self.path("llama-bpe"), "llama-bpe")
    let qwen2 = try Tokenizer(OtherFormats.qwen2(path: Assets.path("tokenizers/qwen/qwen.tiktoken")))
    try check(qwen2, Self.path("qwen2"), "qwen2")
    try check(qwen2, Self.path("deepseek-r1-qwen"), "deepseek-r1-qwen")
  }

  @Test("GPT-2, Falcon and Llama 2 from tokenizer.json come out as from GGUF")
  func tokenizerFiles() throws {
    let cases = [("gpt2", "gpt-2"), ("falcon", "falcon"), ("llama2", "llama-spm")]
    for (folder, name) in cases {
      let json = try Data(contentsOf: URL(filePath: Assets.path("tokenizers/\(folder)/tokenizer.json")))
      try check(Tokenizer(json: Array(json)), Self.path(name), "\(folder)/tokenizer.json")
    }
  }

  @Test("No vocabulary and no pair of recorded cases is left out but those that cannot be read")
  func nothingLeftOut() throws {
    let files = try FileManager.default.contentsOfDirectory(atPath: Assets.path("tokenizers/ggml-vocab"))
    func named(_ ending: String) -> Set<String> {
      Set(
        files.filter { $0.hasSuffix(ending) }.map { String($0.dropFirst("ggml-vocab-".count).dropLast(ending.count)) })
    }
    // WordPiece is no tokenizer of a decoder.
    #expect(named(".gguf").subtracting(Self.names) == ["bert-bge", "gpt-neox", "baichuan"])
    // These come without their vocabulary.
    let checked = Set(Self.names + ["llama-bpe", "qwen2", "deepseek-r1-qwen"])
    #expect(named(".gguf.inp").subtracting(checked) == ["bert-bge", "chameleon", "command-r", "roberta-bpe"])
  }

  @Test("Vocabularies of kinds that are not built are refused by name")
  func otherKinds() throws {
    let path = Self.path("bert-bge")
    let error = #expect(throws: TokenizerError.self) {
      try Tokenizer(TokenizerDescription(WeightFile.open(path).metadata))
    }
    #expect(error?.description == "unsupported tokenizer model 'bert'")
  }

  @Test(
    "Random text comes back from every real vocabulary",
    arguments: names + [
      "gpt-neox", "baichuan", "gpt2", "falcon.json", "llama2.json", "gpt-neox-20b", "llama3", "qwen",
    ])
  func roundTrip(_ name: String) throws {
    let tokenizer = try Self.anyTokenizer(name)
    for seed in 0..<20 as Range<UInt64> {
      var text = TinyVocabulary.text(scalars: 200, seed: seed)
      // Falcon's vocabulary lacks bytes of control characters, which vanish in every implementation.
      if name.hasPrefix("falcon") { text.unicodeScalars.removeAll { $0.value < 0x20 && $0 != "\n" } }
      let expected = name == "gpt-neox-20b" ? text.precomposedStringWithCanonicalMapping : text
      #expect(tokenizer.decode(tokenizer.encode(text)).utf8.elementsEqual(expected.utf8), "\(name), seed \(seed)")
    }
  }

  private static func anyTokenizer(_ name: String) throws -> Tokenizer {
    let files = [
      "gpt2": "gpt2/tokenizer.json", "falcon.json": "falcon/tokenizer.json", "llama2.json": "llama2/tokenizer.json",
      "gpt-neox-20b": "gpt-neox-20b/20B_tokenizer.json",
    ]
    if name == "llama3" { return try Tokenizer(OtherFormats.llama3(folder: Assets.path("tokenizers/llama3"))) }
    if name == "qwen" { return try Tokenizer(OtherFormats.qwen2(path: Assets.path("tokenizers/qwen/qwen.tiktoken"))) }
    guard let file = files[name] else {
      return try Tokenizer(TokenizerDescription(WeightFile.open(path(name)).metadata))
    }
    return try Tokenizer(json: Array(Data(contentsOf: URL(filePath: Assets.path("tokenizers/\(file)")))))
  }

  private static func path(_ name: String) -> String { Assets.path("tokenizers/ggml-vocab/ggml-vocab-\(name).gguf") }

  private func check(_ tokenizer: Tokenizer, _ path: String, _ name: String) throws {
    for (text, expected) in try RecordedCases(path: path).cases {
      #expect(tokenizer.encode(text) == expected, "\(name): \(text.debugDescription)")
    }
  }
}

/// The cases of a pair of files `.inp` and `.out`.
struct RecordedCases {
  let cases: [(text: String, ids: [Int32])]

  init(path: String) throws {
    let texts = try String(contentsOfFile: path + ".inp", encoding: .utf8)
      .components(separatedBy: "\n__ggml_vocab_test__\n")
    let lines = try String(contentsOfFile: path + ".out", encoding: .utf8).split(
      separator: "\n", omittingEmptySubsequences: false)
    let ids = lines.map { $0.split(separator: " ").compactMap { Int32($0) } }
    cases = zip(texts, ids).map { ($0, $1) }
    try #require(texts.count >= 40 && ids.count >= texts.count)
  }
}
