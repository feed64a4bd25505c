import Foundation
import Testing

@testable import Tokenizers

/// A small tokenizer of Gemma's kind against ids of the `tokenizers` package (Scripts/record-gemma-tokenizer.py).
@Suite("Gemma's tokenizers")
struct GemmaTokenizerTests {
  private struct Case: Decodable {
    let text: String
    let huggingface: [Int32]
    let gguf: [Int32]
  }

  private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Golden/tokenizers")

  private static func cases() throws -> [Case] {
    try JSONDecoder().decode([Case].self, from: Data(contentsOf: folder.appending(path: "gemma-ids.json")))
  }

  private static func huggingFace() throws -> Tokenizer {
    try Tokenizer(json: Array(Data(contentsOf: folder.appending(path: "gemma.json"))))
  }

  /// The same vocabulary as the keys of a GGUF file, the added tokens among them as converters write them.
  private static func description(model: String = "gemma4") throws -> TokenizerDescription {
    struct File: Decodable {
      struct Added: Decodable {
        let id: Int
        let content: String
        let special: Bool
      }
      struct Model: Decodable {
        let vocab: [String: Int]
        let merges: [[String]]
      }
      enum CodingKeys: String, CodingKey {
        case added = "added_tokens"
        case model
      }
      let added: [Added]
      let model: Model
    }
    let file = try JSONDecoder().decode(File.self, from: Data(contentsOf: folder.appending(path: "gemma.json")))
    let added = file.added.filter { $0.id >= file.model.vocab.count && $0.special }
    var tokens = [String](repeating: "", count: file.model.vocab.count + added.count)
    for (token, id) in file.model.vocab { tokens[id] = token }
    for token in added { tokens[token.id] = token.content }
    var description = TokenizerDescription(model: model, preTokenizer: "gemma4", tokens: tokens)
    description.merges = file.model.merges.map { $0.joined(separator: " ") }
    description.kinds = tokens.map { byteSpelled(by: $0) == nil ? 1 : 6 }
    for token in file.added where token.special {
      description.kinds[token.id] = token.id < file.model.vocab.count || token.content == "<turn|>" ? 3 : 4
    }
    description.beginOfSequence = file.model.vocab["<bos>"]
    description.endOfSequence = file.model.vocab["<eos>"]
    description.addsBeginOfSequence = false
    description.addsSpacePrefix = false
    return description
  }

  @Test("tokenizer.json gives the recorded ids, at once and byte by byte, and the text back")
  func fromTokenizerJSON() throws {
    let tokenizer = try Self.huggingFace()
    for testCase in try Self.cases() {
      #expect(tokenizer.encode(testCase.text) == testCase.huggingface, "\(testCase.text.debugDescription)")
      var encoder = IncrementalEncoder(tokenizer)
      let ids = testCase.text.utf8.flatMap { encoder.append([$0]) } + encoder.finish()
      #expect(ids == testCase.huggingface, "byte by byte: \(testCase.text.debugDescription)")
      #expect(tokenizer.decode(testCase.huggingface).utf8.elementsEqual(testCase.text.utf8))
    }
    #expect(tokenizer.addsBeginOfSequence && tokenizer.beginOfSequence == 2 && tokenizer.endOfSequence == 1)
  }

  @Test("GGUF gives the recorded ids, whichever model the file names", arguments: ["gemma4", "llama", "gpt2"])
  func fromGGUF(_ model: String) throws {
    let tokenizer = try Tokenizer(Self.description(model: model))
    for testCase in try Self.cases() {
      #expect(tokenizer.encode(testCase.text) == testCase.gguf, "\(testCase.text.debugDescription)")
      var encoder = IncrementalEncoder(tokenizer)
      let ids = testCase.text.utf8.flatMap { encoder.append([$0]) } + encoder.finish()
      #expect(ids == testCase.gguf, "byte by byte: \(testCase.text.debugDescription)")
      #expect(tokenizer.decode(testCase.gguf).utf8.elementsEqual(testCase.text.utf8))
    }
    #expect(tokenizer.addsBeginOfSequence && tokenizer.beginOfSequence == 2)
  }

  @Test("A run of line breaks that is a token is that token though no merge leads to it, and any other merges")
  func lineBreaks() throws {
    var description = TokenizerDescription(model: "gemma4", tokens: ["\n", "\n\n", "\n\n\n", "a", "\u{2581}", "<bos>"])
    description.merges = ["\n \n"]
    description.kinds = [1, 1, 1, 1, 1, 3]
    description.beginOfSequence = 5
    let tokenizer = try Tokenizer(description)
    #expect(tokenizer.encode("a\n\n\na") == [3, 2, 3])
    #expect(tokenizer.encode("\n\n\n\n a") == [1, 1, 4, 3])
    var encoder = IncrementalEncoder(tokenizer)
    #expect(encoder.append("a a\n\n") == [3, 4, 3])
    #expect(encoder.append("\na") == [2])
    #expect(encoder.finish() == [3])
    description.merges = []
    #expect(throws: TokenizerError.self) { try Tokenizer(description) }
  }

  @Test("Without kinds, what is spelled like a byte is one")
  func bytesWithoutKinds() throws {
    var description = try Self.description()
    description.kinds = []
    #expect(try Tokenizer(description).encode("\u{1F600}") == [0xF0, 0x9F, 0x98, 0x80].map { $0 + 4 })
  }

  @Test("Marks of thoughts and tool calls are decoded, ends of turns are not, and both ends are known")
  func marks() throws {
    for tokenizer in [try Self.huggingFace(), try Tokenizer(Self.description())] {
      let text = "<|channel>the<channel|><|\"|><turn|>"
      let ids = tokenizer.encode(text, special: .parse)
      #expect(ids.count == 5)
      #expect(tokenizer.decode(ids) == "<|channel>the<channel|><|\"|>")
      var decoder = IncrementalDecoder(tokenizer)
      #expect(ids.map { decoder.append($0) }.joined() == "<|channel>the<channel|><|\"|>")
      let ends = try ["<eos>", "<turn|>", "<|tool_response>"].map { try #require(tokenizer.id(ofSpecial: $0)) }
      #expect(tokenizer.endOfGeneration == Set(ends))
    }
  }

  @Test("tokenizer.json's marks are nothing that a prompt can write")
  func marksInPlainText() throws {
    let tokenizer = try Self.huggingFace()
    #expect(!tokenizer.encode("<|channel>").contains(try #require(tokenizer.id(ofSpecial: "<|channel>"))))
  }
}
