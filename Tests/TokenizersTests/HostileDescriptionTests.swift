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
    #expect(message({ $0.scores[3] = .nan }, of: pieces) == "token 3 of the tokenizer has a score that is not a number")
  }

  @Test("Special tokens that do not exist are left out with a warning")
  func impossibleIDs() throws {
    let paths: [(WritableKeyPath<TokenizerDescription, Int?>, String)] = [
      (\.beginOfSequence, "begin-of-sequence"), (\.endOfSequence, "end-of-sequence"), (\.endOfTurn, "end-of-turn"),
      (\.endOfMessage, "end-of-message"), (\.unknown, "unknown"),
    ]
    for (path, name) in paths {
      for id in [-1, 257, 4_294_967_295] {
        var description = TinyVocabulary.byteLevel(merges: ["h e"])
        description[keyPath: path] = id
        let tokenizer = try Tokenizer(description)
        #expect(
          tokenizer.warnings == ["the tokenizer's \(name) token is \(id), outside its 257 tokens; it is left out"])
        #expect(tokenizer.encode("he") == [256] && tokenizer.endOfGeneration.isEmpty)
        #expect(tokenizer.beginOfSequence == nil && tokenizer.endOfSequence == nil && tokenizer.unknown == nil)
      }
    }
  }

  @Test("Tokens that the model has no rows for are left out with a warning, and text never becomes them")
  func moreTokensThanRows() throws {
    var description = TinyVocabulary.byteLevel(merges: ["h e", "l l", "he ll"], special: ["<end>"])
    description.endOfSequence = 259
    let whole = try Tokenizer(description)
    #expect(whole.encode("hell<end>", special: .parse) == [258, 259])
    let limited = try Tokenizer(description, limit: 257)
    #expect(limited.vocabularySize == 257 && limited.endOfSequence == nil)
    #expect(limited.encode("hell") == [104, 101, 108, 108] && limited.encode("he") == [256])
    #expect(limited.encode("hell<end>", special: .parse).allSatisfy { $0 < 257 })
    #expect(limited.decode(limited.encode("hell<end>")) == "hell<end>")
    #expect(limited.warnings.count == 2)
    let pieces = try Tokenizer(TinyVocabulary.sentencePiece(["▁", "a", "▁a"]), limit: 261)
    #expect(pieces.encode("a") == [259, 260])
  }

  @Test("Merges may name what is no token, as in llama.cpp: what is left of it falls apart into bytes")
  func unlistedMerges() throws {
    let table: [(merges: [String], tokens: [String], text: String, ids: [Int32])] = [
      (["h e", "l l"], ["he"], "hell", [256, 108, 108]),
      (["h e", "l l", "he ll"], ["he", "hell"], "hell", [256 + 1]),
      (["h e", "l l", "he ll"], ["he", "hell"], "helll", [257, 108]),
      (["#version: 0.2", "h e"], ["he"], "he", [256]), (["q u"], [], "qu", [113, 117]),
      (["zz e", "h e"], ["he"], "zzehe", [122, 122, 101, 256]), (["你 e", "h e"], ["he"], "he", [256]),
    ]
    for (merges, tokens, text, ids) in table {
      var description = TinyVocabulary.byteLevel()
      description.tokens += tokens
      description.kinds += tokens.map { _ in 1 }
      description.merges = merges
      #expect(try Tokenizer(description).encode(text) == ids, "\(merges)")
    }
  }

  @Test("Merges that are no pairs are left out with a warning, as in llama.cpp, wherever a header line stands")
  func malformedMerges() throws {
    let table: [(merges: [String], left: Int)] = [
      (["he", "h e"], 1), (["h e", " he", "", "he "], 3), (["#version: 0.2", "h e"], 0), (["h e", "#version: 0.2"], 0),
    ]
    for (merges, left) in table {
      var description = TinyVocabulary.byteLevel(merges: ["h e"])
      let plain = try Tokenizer(description)
      description.merges = merges
      let tokenizer = try Tokenizer(description)
      #expect(tokenizer.encode("hehe he") == plain.encode("hehe he"), "\(merges)")
      let isOne = left == 1
      #expect(
        tokenizer.warnings
          == (left == 0
            ? []
            : [
              "\(left) of the tokenizer's merges \(isOne ? "is no pair" : "are no pairs") of tokens; "
                + "\(isOne ? "it is" : "they are") left out"
            ]))
    }
  }

  @Test("Characters whose only token is special or unused do not vanish from plain text, nor do merges that name such")
  func specialCharacters() throws {
    for kind in [2, 3, 4, 5] as [Int32] {
      var description = TinyVocabulary.byteLevel(merges: ["h e", "he l"])
      description.kinds[Int(UInt8(ascii: "!"))] = kind
      description.kinds[256] = kind
      let tokenizer = try Tokenizer(description)
      #expect(tokenizer.encode("a!b") == [97, 33, 98], "\(kind)")
      #expect(tokenizer.encode("!!") == [33, 33], "\(kind)")
      #expect(tokenizer.encode("hel") == (kind == 4 ? [256, 108] : [257]), "\(kind)")
      var pieces = TinyVocabulary.sentencePiece(["▁", "a", "!", "b"], hasBytes: false)
      pieces.kinds[5] = kind
      pieces.addsSpacePrefix = false
      #expect(try Tokenizer(pieces).encode("a!b") == [4, kind == 2 ? 0 : 5, 6], "\(kind)")
    }
  }

  @Test("User-defined pieces of U+2581 are looked for after the space in front has been added")
  func userDefinedSpaces() throws {
    var description = TinyVocabulary.sentencePiece(["a", "b", "▁", "▁a", "▁▁", "▁▁▁▁"])
    for index in 263...264 { description.kinds[index] = 4 }
    let tokenizer = try Tokenizer(description)
    let table: [(String, [Int32])] = [
      ("a  b", [262, 263, 260]), ("a    b", [262, 264, 260]), ("  a", [263, 262]), ("a b", [262, 261, 260]),
    ]
    for (text, ids) in table {
      #expect(tokenizer.encode(text) == ids, "\(text)")
      var encoder = IncrementalEncoder(tokenizer)
      #expect(text.utf8.flatMap { encoder.append([$0]) } + encoder.finish() == ids, "\(text)")
      #expect(tokenizer.decode(ids) == text)
    }
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
