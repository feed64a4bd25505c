import Foundation
import TestSupport
import Testing

@testable import Tokenizers

/// Real vocabularies against ids that other implementations recorded.
@Suite("Recorded ids of real vocabularies", .enabled(if: Assets.available, "\(Assets.missing)"))
struct RecordedVocabularyTests {
  static let names = ["deepseek-coder", "deepseek-llm", "falcon", "gpt-2", "mpt", "refact", "starcoder", "llama-spm", "phi-3"]

  @Test("Every recorded case of a GGUF vocabulary comes out id for id", arguments: names)
  func recordedCases(_ name: String) throws {
    let folder = Assets.path("tokenizers/ggml-vocab")
    let path = "\(folder)/ggml-vocab-\(name).gguf"
    let tokenizer = try Tokenizer(GGUFVocabulary(path: path).description)
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
