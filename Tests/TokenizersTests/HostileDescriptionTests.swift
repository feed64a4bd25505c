import Testing

@testable import Tokenizers

@Suite("Descriptions that contradict themselves")
struct HostileDescriptionTests {
  private func message(_ change: (inout TokenizerDescription) -> Void, of base: TokenizerDescription) -> String {
    var description = base
    change(&description)
    do {
      _ = try Tokenizer(description)
      return "no error"
    } catch {
      return error.description
    }
  }

  @Test("Each is refused with one line that says what is wrong")
  func refused() {
    let base = TinyVocabulary.byteLevel(merges: ["h e"])
    let pieces = TinyVocabulary.sentencePiece(["a"])
    #expect(message({ $0.tokens = [] }, of: base) == "the tokenizer has an empty vocabulary")
    #expect(message({ $0.model = "bert" }, of: base) == "unsupported tokenizer model 'bert'")
    #expect(message({ $0.preTokenizer = "x\ny" }, of: base) == "unsupported pre-tokenizer 'x?y'")
    #expect(message({ $0.kinds = [1] }, of: base) == "the tokenizer has 1 token types for 257 tokens")
    #expect(message({ $0.scores = [1, 2] }, of: base) == "the tokenizer has 2 scores for 257 tokens")
    #expect(
      message({ $0.endOfSequence = 257 }, of: base)
        == "the tokenizer's end-of-sequence token is 257, outside its 257 tokens")
    #expect(message({ $0.unknown = -1 }, of: base) == "the tokenizer's unknown token is -1, outside its 257 tokens")
    #expect(message({ $0.merges = ["he"] }, of: base) == "merge 0 of the tokenizer is not a pair of tokens")
    #expect(message({ $0.merges = ["h e", " he"] }, of: base) == "merge 1 of the tokenizer is not a pair of tokens")
    #expect(
      message({ $0.merges = ["q u"] }, of: base)
        == "merge 0 of the tokenizer names 'qu', which is not in its vocabulary")
    #expect(message({ $0.merges = ["zz e"] }, of: base).hasPrefix("merge 0 of the tokenizer names"))
    #expect(message({ $0.merges = ["你 e"] }, of: base).hasPrefix("merge 0 of the tokenizer names"))
    #expect(message({ $0.scores[3] = .nan }, of: pieces) == "token 3 of the tokenizer has a score that is not a number")
  }

  @Test("Duplicate, empty and odd tokens are borne")
  func borne() throws {
    var description = TinyVocabulary.byteLevel(merges: ["h e"])
    description.tokens += ["he", "", "你好", "\u{0}"]
    description.kinds += [1, 1, 1, 99]
    let tokenizer = try Tokenizer(description)
    #expect(tokenizer.encode("he") == [256])
    #expect(tokenizer.decode([257, 258, 259, 260]) == "he你好\u{0}")
  }

  @Test("The same merge twice, and merges whose result is merged again in a ring, end")
  func absurdMerges() throws {
    let twice = try Tokenizer(TinyVocabulary.byteLevel(merges: ["a a", "aa a", "a aa", "aa aa"]))
    #expect(twice.decode(twice.encode("aaaaaaa")) == "aaaaaaa")
    var description = TinyVocabulary.byteLevel(merges: ["a a"])
    description.merges = ["a a", "a a", "a a"]
    #expect(try Tokenizer(description).encode("aaa") == [256, 97])
  }

  @Test("Bytes without a token become the unknown token, or nothing")
  func missingBytes() throws {
    var description = TokenizerDescription(model: "gpt2", preTokenizer: "gpt-2", tokens: ["a", "b", "<unk>"])
    description.kinds = [1, 1, 2]
    #expect(try Tokenizer(description).encode("aéb") == [0, 1])
    description.unknown = 2
    #expect(try Tokenizer(description).encode("aéb") == [0, 2, 2, 1])
    let pieces = try Tokenizer(TokenizerDescription(model: "llama", tokens: ["a"]))
    #expect(pieces.encode("aé") == [0])
  }

  @Test("Byte tokens that spell no byte are unused")
  func malformedByteTokens() throws {
    var description = TokenizerDescription(model: "llama", tokens: ["<0xZZ>", "<0x+1>", "<0x41>", ""])
    description.kinds = [6, 6, 6, 6]
    description.addsSpacePrefix = false
    let tokenizer = try Tokenizer(description)
    #expect(tokenizer.encode("A\u{1}") == [2])
  }

  @Test("Damaged at random, a description gives a tokenizer or an error, and the tokenizer works")
  func randomDamage() {
    var random = 1 as UInt64
    func below(_ limit: Int) -> Int {
      random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(random >> 33) % limit
    }
    for round in 0..<200 {
      var description =
        round % 2 == 0
        ? TinyVocabulary.byteLevel(merges: ["h e", "l l", "he ll"])
        : TinyVocabulary.sentencePiece(["▁", "a", "b", "ab"])
      for _ in 0..<1 + below(4) {
        switch below(6) {
        case 0:
          description.tokens[below(description.tokens.count)] = description.tokens[below(description.tokens.count)]
        case 1: description.kinds[below(description.kinds.count)] = Int32(below(9)) - 1
        case 2:
          if !description.merges.isEmpty { description.merges[below(description.merges.count)] = "\(below(99)) e" }
        case 3: description.beginOfSequence = below(600) - 100
        case 4:
          if !description.scores.isEmpty {
            description.scores[below(description.scores.count)] = [.infinity, -.infinity, 0][below(3)]
          }
        default: description.tokens[below(description.tokens.count)] = ""
        }
      }
      guard let tokenizer = try? Tokenizer(description) else { continue }
      let ids = tokenizer.encode("hello ab é </s>", special: .parse)
      #expect(ids.allSatisfy { (0..<Int32(tokenizer.vocabularySize)).contains($0) })
      _ = tokenizer.decode(ids)
    }
  }
}
