import Testing

@testable import Tokenizers

@Suite("Encoding")
struct EncodingTests {
  @Test("Bytes merge best pair first, leftmost among equals")
  func byteLevelByHand() throws {
    // 256 "he", 257 "ll", 258 "hell", 259 " w", 260 "aa".
    let tokenizer = try Tokenizer(TinyVocabulary.byteLevel(merges: ["h e", "l l", "he ll", "Ġ w", "a a"]))
    #expect(tokenizer.vocabularySize == 261)
    #expect(tokenizer.encode("hello") == [258, 111])
    #expect(tokenizer.encode("he w") == [256, 259])
    #expect(tokenizer.encode("aaa") == [260, 97])
    #expect(tokenizer.encode("aaaaa") == [260, 260, 97])
    #expect(tokenizer.encode("") == [])
    #expect(tokenizer.encode("é") == [0xC3, 0xA9])
    #expect(tokenizer.encode([0x68, 0x65, 0xFF]) == [256, 0xEF, 0xBF, 0xBD])
  }

  @Test("Merges do not cross words")
  func wordsStayApart() throws {
    let tokenizer = try Tokenizer(TinyVocabulary.byteLevel(merges: ["a Ġ", "1 2"]))
    #expect(tokenizer.encode("a b") == [97, 32, 98])
    #expect(tokenizer.encode("12") == [257])
    let smol = try Tokenizer(TinyVocabulary.byteLevel("smollm", merges: ["a Ġ", "1 2"]))
    #expect(smol.encode("12") == [49, 50])
  }

  @Test("Llama 3 keeps a word whole that is a token, though no merge leads to it")
  func wholeWords() throws {
    var description = TinyVocabulary.byteLevel("llama-bpe", merges: ["a b"])
    description.tokens.append("abc")
    description.kinds.append(1)
    #expect(try Tokenizer(description).encode("abc ab") == [257, 32, 256])
    description.preTokenizer = "gpt-2"
    #expect(try Tokenizer(description).encode("abc") == [256, 99])
  }

  @Test("Scanning and heap merge alike, and as the definition says")
  func mergingAgainstDefinition() {
    var table = MergeTable(capacity: 8)
    var ranks: [[Int32]: (UInt32, Int32)] = [:]
    // Tokens 0 to 3 are letters; every merge makes a new token, some pairs share a rank.
    for (index, pair) in [[0, 1], [1, 0], [2, 2], [4, 4], [5, 0], [6, 6], [3, 4], [7, 7], [0, 0]].enumerated() {
      let rank = UInt32(index / 2)
      ranks[pair.map(Int32.init)] = (rank, Int32(4 + index))
      table.insert(left: Int32(pair[0]), right: Int32(pair[1]), rank: rank, result: Int32(4 + index))
    }
    func defined(_ symbols: [Int32]) -> [Int32] {
      var symbols = symbols
      while true {
        var best: (rank: UInt32, place: Int, result: Int32)?
        for place in symbols.indices.dropLast() {
          if let (rank, result) = ranks[[symbols[place], symbols[place + 1]]], rank < best?.rank ?? .max {
            best = (rank, place, result)
          }
        }
        guard let best else { return symbols }
        symbols.replaceSubrange(best.place...best.place + 1, with: [best.result])
      }
    }
    var state: UInt64 = 5
    for length in Array(0...60) + [100, 300] {
      for _ in 0..<20 {
        let symbols = (0..<length).map { _ in
          state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
          return Int32(state >> 62)
        }
        var merging = PairMerging()
        merging.symbols = symbols
        merging.merge(with: table)
        #expect(merging.symbols == defined(symbols), "\(symbols)")
      }
    }
  }

  @Test("A word of a megabyte is encoded in n log n", .timeLimit(.minutes(1)))
  func longWord() throws {
    let tokenizer = try Tokenizer(TinyVocabulary.byteLevel(merges: ["a a", "aa aa", "aaaa aaaa"]))
    let ids = tokenizer.encode(String(repeating: "a", count: 1 << 20))
    #expect(ids == [Int32](repeating: 258, count: 1 << 17))
  }

  @Test("SentencePiece merges the best score first and falls back to bytes")
  func sentencePieceByHand() throws {
    // 259 ▁, 260 a, 261 b, 262 ab, 263 ▁a, 264 ▁ab, 265 ▁▁; ab goes before ▁a.
    let tokenizer = try Tokenizer(TinyVocabulary.sentencePiece(["▁", "a", "b", "ab", "▁a", "▁ab", "▁▁"]))
    #expect(tokenizer.addsBeginOfSequence)
    #expect(tokenizer.encode("ab") == [264])
    #expect(tokenizer.encode("a ab") == [263, 264])
    #expect(tokenizer.encode("ba") == [259, 261, 260])
    #expect(tokenizer.encode(" a") == [259, 263])
    #expect(tokenizer.encode("  b") == [265, 259, 261])
    #expect(tokenizer.encode("é") == [259, 0xC3 + 3, 0xA9 + 3])
    #expect(tokenizer.encode("▁a") == tokenizer.encode(" a"))
    #expect(tokenizer.encode("") == [])
    #expect(tokenizer.decode(tokenizer.encode("ab é\n")) == "ab é\n")
  }

  @Test("SentencePiece without the space in front, without bytes, with unknown characters")
  func sentencePieceVariants() throws {
    var description = TinyVocabulary.sentencePiece(["▁", "a", "b", "ab"], hasBytes: false)
    description.addsSpacePrefix = false
    let tokenizer = try Tokenizer(description)
    #expect(tokenizer.encode("ab") == [6])
    #expect(tokenizer.encode("aé b") == [4, 0, 3, 5])
    #expect(tokenizer.decode([3, 4]) == " a")
  }

  @Test("A space may be inside of a piece, and then nothing is cut there")
  func spacesInsidePieces() throws {
    let tokenizer = try Tokenizer(TinyVocabulary.sentencePiece(["▁", "a", "b", "a▁", "a▁b"]))
    #expect(tokenizer.encode("a b") == [259, 263])
  }

  @Test("Special tokens in text stay text unless they are to be parsed; user-defined ones are always tokens")
  func specialTokens() throws {
    var description = TinyVocabulary.byteLevel(special: ["<|end|>", "<|e"], userDefined: ["<tab>"])
    description.endOfSequence = 256
    let tokenizer = try Tokenizer(description)
    let spelled = "<|end|>".utf8.map { Int32($0) }
    #expect(tokenizer.encode("a<|end|>") == [97] + spelled)
    #expect(tokenizer.encode("a<|end|>b", special: .parse) == [97, 256, 98])
    #expect(tokenizer.encode("<|en<|end|>", special: .parse) == [257, 110, 256])
    #expect(tokenizer.encode("a<tab>b") == [97, 258, 98])
    #expect(tokenizer.id(ofSpecial: "<|end|>") == 256)
    #expect(tokenizer.id(ofSpecial: "a") == nil)
    #expect(tokenizer.endOfGeneration == [256])
    #expect(tokenizer.isSpecial(256) && !tokenizer.isSpecial(97) && !tokenizer.isSpecial(-1))
    #expect(tokenizer.decode([97, 256, 98]) == "ab")
    #expect(tokenizer.decode([97, 256, 98], skipsSpecial: false) == "a<|end|>b")
  }

  @Test("Merges cannot spell a special token")
  func specialTokensAreNoMergeResults() throws {
    let tokenizer = try Tokenizer(TinyVocabulary.sentencePiece(["<", "/", "s", ">", "</", "s>"]))
    #expect(!tokenizer.encode("</s>").contains(2))
    #expect(tokenizer.encode("</s>", special: .parse) == [2])
  }
}
