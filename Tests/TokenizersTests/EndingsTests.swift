import Testing

@testable import Tokenizers

@Suite("Ends of an answer")
struct EndingsTests {
  struct Case: Sendable {
    let name: String
    let special: [String]
    var userDefined: [String] = []
    let ends: Set<String>
  }

  static let cases = [
    Case(name: "ChatML", special: ["<|im_start|>", "<|im_end|>"], ends: ["<|im_end|>"]),
    Case(name: "Phi", special: ["<|user|>", "<|end|>"], ends: ["<|end|>"]),
    Case(
      name: "harmony", special: ["<|start|>", "<|end|>", "<|return|>", "<|call|>"], ends: ["<|return|>", "<|call|>"]),
    Case(name: "Solar", special: ["<|end|>", "<|flush|>", "<|calls|>"], ends: ["<|flush|>", "<|calls|>"]),
    Case(name: "one mark of harmony", special: ["<|end|>", "<|call|>"], ends: ["<|end|>", "<|call|>"]),
    Case(
      name: "Gemma 4", special: ["<eos>", "<turn|>", "</s>"], userDefined: ["<|tool_response>", "<|channel>"],
      ends: ["<eos>", "<turn|>", "<|tool_response>"]),
    Case(
      name: "Gemma 3", special: ["<eos>", "<end_of_turn>"], userDefined: ["</s>"], ends: ["<eos>", "<end_of_turn>"]),
    Case(name: "Llama 2", special: ["<s>", "</s>"], ends: ["</s>"]),
    Case(name: "Kimi", special: ["[EOS]", "[BOS]"], ends: ["[EOS]"]),
  ]

  @Test("The tokens that end an answer are known by their spellings", arguments: cases)
  func endings(_ testCase: Case) throws {
    let tokenizer = try Tokenizer(
      TinyVocabulary.byteLevel(special: testCase.special, userDefined: testCase.userDefined))
    let found = Set(tokenizer.endOfGeneration.map { tokenizer.token($0) })
    #expect(found == testCase.ends, "\(testCase.name)")
  }

  @Test("A file's own end counts even where it has the name of what ends a channel")
  func ownEnd() throws {
    var description = TinyVocabulary.byteLevel(special: ["<|end|>", "<|return|>", "<|call|>"])
    description.endOfSequence = 256
    #expect(try Tokenizer(description).endOfGeneration == [256, 257, 258])
  }
}
