import Foundation
import Kernels
import Testing

@testable import Tokenizers

/// A small unigram tokenizer against ids of `sentencepiece` and `tokenizers` (Scripts/record-unigram-tokenizer.py).
@Suite("Unigram tokenizers")
struct UnigramTokenizerTests {
  private struct Recording: Decodable {
    struct Model: Decodable {
      struct Keys: Decodable {
        let tokens: [String]
        let scores: [Float]
        let kinds: [Int32]
        let characterMap: String
      }
      let gguf: Keys
      let sentencepiece: [[Int32]]
      let huggingface: [[Int32]]
      let split: [[Int32]]
    }
    let texts: [String]
    let models: [String: Model]
  }

  private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Golden/tokenizers")

  private static func recording() throws -> Recording {
    try JSONDecoder().decode(Recording.self, from: Data(contentsOf: folder.appending(path: "unigram-ids.json")))
  }

  private static func description(_ model: Recording.Model) throws -> TokenizerDescription {
    var description = TokenizerDescription(model: "t5", tokens: model.gguf.tokens)
    description.scores = model.gguf.scores
    description.kinds = model.gguf.kinds
    description.characterMap = Array(try #require(Data(base64Encoded: model.gguf.characterMap)))
    description.joinsSpaces = true
    return description
  }

  private func check(_ tokenizer: Tokenizer, _ special: Tokenizer.SpecialTokens, _ text: String, _ ids: [Int32]) {
    #expect(tokenizer.encode(text, special: special) == ids, "\(text.debugDescription)")
    for size in [1, 7] {
      var encoder = IncrementalEncoder(tokenizer, special: special)
      var found: [Int32] = []
      let bytes = Array(text.utf8)
      for start in stride(from: 0, to: bytes.count, by: size) {
        found += encoder.append(bytes[start..<min(start + size, bytes.count)])
      }
      #expect(found + encoder.finish() == ids, "\(text.debugDescription) by \(size) bytes")
    }
  }

  @Test("From the keys of GGUF the ids are those of SentencePiece", arguments: ["unknown", "bytes"])
  func sentencePiece(_ name: String) throws {
    let recording = try Self.recording()
    let model = try #require(recording.models[name])
    let tokenizer = try Tokenizer(Self.description(model))
    for (text, ids) in zip(recording.texts, model.sentencepiece) { check(tokenizer, .plainText, text, ids) }
    #expect(recording.texts.count > 90 && model.sentencepiece.count == recording.texts.count)
  }

  @Test("From tokenizer.json the ids are those of the tokenizers package, with Metaspace alone and after a split")
  func huggingFace() throws {
    let recording = try Self.recording()
    let model = try #require(recording.models["unknown"])
    let file = try String(contentsOf: Self.folder.appending(path: "unigram.json"), encoding: .utf8)
    let tokenizer = try Tokenizer(json: Array(file.utf8))
    for (text, ids) in zip(recording.texts, model.huggingface) { check(tokenizer, .parse, text, ids) }
    // The old form: the map alone, then words by white space.
    let map = try #require(file.firstMatch(of: /\{"type":"Precompiled"[^}]*\}/)).output
    let old = file.replacing(/"normalizer":.*"post_processor"/) { _ in
      #""normalizer":\#(map),"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},"#
        + #"{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}]},"post_processor""#
    }
    let oldTokenizer = try Tokenizer(json: Array(old.utf8))
    for (text, ids) in zip(recording.texts, model.split) { check(oldTokenizer, .parse, text, ids) }
  }

  @Test("What is decoded is the text but for what the map changes")
  func decoding() throws {
    let recording = try Self.recording()
    let tokenizer = try Tokenizer(Self.description(#require(recording.models["bytes"])))
    for text in ["the quick brown fox", "été 你好 😀", "x  y"] {
      #expect(tokenizer.decode(tokenizer.encode(text)) == text.replacing("  ", with: " "))
    }
  }

  @Test("The best path is that of a search through all")
  func bruteForce() throws {
    let tokens = ["<unk>", "a", "b", "ab", "ba", "aba", "abab", "bb", "c▁a"]
    let scores: [Float] = [0, -3, -2.5, -4, -4.5, -5, -9, -7, -1]
    var description = TokenizerDescription(model: "t5", tokens: tokens)
    description.scores = scores
    description.kinds = [2, 1, 1, 1, 1, 1, 1, 1, 1]
    description.addsSpacePrefix = false
    let tokenizer = try Tokenizer(description)
    func best(_ text: Substring) -> Float {
      if text.isEmpty { return 0 }
      return tokens.indices.dropFirst().filter { text.hasPrefix(tokens[$0]) }
        .map { scores[$0] + best(text.dropFirst(tokens[$0].count)) }.max() ?? -.infinity
    }
    for length in 1...8 {
      for bits in 0..<(1 << length) {
        let text = String((0..<length).map { bits >> $0 & 1 == 0 ? "a" : "b" })
        let ids = tokenizer.encode(text)
        #expect(tokenizer.decode(ids) == text)
        #expect(abs(ids.reduce(0) { $0 + scores[Int($1)] } - best(text[...])) < 1e-4, "\(text) \(ids)")
      }
    }
  }

  @Test("A long text without any boundary comes out whole")
  func pathological() throws {
    let recording = try Self.recording()
    let tokenizer = try Tokenizer(Self.description(#require(recording.models["bytes"])))
    for text in [String(repeating: "t", count: 1 << 17), String(repeating: "😀", count: 20_000)] {
      #expect(tokenizer.decode(tokenizer.encode(text)) == text)
    }
  }

  @Test("A long text that comes at once is not cut between words and their spaces")
  func longText() throws {
    let recording = try Self.recording()
    let tokenizer = try Tokenizer(Self.description(#require(recording.models["bytes"])))
    let text = String(repeating: "the other  house ", count: 8_000)
    for rest in 0..<6 {
      let start = text.dropFirst(rest).dropLast(text.count - 70_000)
      var encoder = IncrementalEncoder(tokenizer)
      let found = encoder.append(String(start)) + encoder.append(String(text.dropFirst(rest + start.count)))
      #expect(found + encoder.finish() == tokenizer.encode(String(text.dropFirst(rest))), "from \(rest)")
    }
  }

  @Test("What contradicts itself is refused")
  func hostile() throws {
    let model = try #require(Self.recording().models["unknown"])
    func message(_ change: (inout TokenizerDescription) -> Void) throws -> String {
      var description = try Self.description(model)
      change(&description)
      do {
        _ = try Tokenizer(description)
        return "no error"
      } catch { return error.description }
    }
    #expect(try message { $0.scores = [] }.contains("0 scores"))
    #expect(try message { $0.scores[3] = .infinity }.contains("token 3"))
    #expect(try message { $0.characterMap = [1, 2, 3] }.contains("precompiled_charsmap"))
    #expect(try message { $0.characterMap = [0xFF, 0xFF, 0xFF, 0xFF, 0] }.contains("precompiled_charsmap"))
    // A map that leads anywhere must not lead out of it.
    for seed in 0..<200 as Range<UInt64> {
      var description = try Self.description(model)
      var generator = SplitMix64(seed: seed)
      for _ in 0..<20 {
        description.characterMap[4 + Int(generator.next() % UInt64(description.characterMap.count - 4))] =
          UInt8(truncatingIfNeeded: generator.next())
      }
      _ = try Tokenizer(description).encode("ﬁ the Ａ①…e\u{301} ﷺ\u{200B}x\ty")
    }
  }
}
