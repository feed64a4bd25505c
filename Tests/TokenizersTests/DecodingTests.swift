import Testing

@testable import Tokenizers

@Suite("Decoding")
struct DecodingTests {
  static func tokenizers() throws -> [Tokenizer] {
    [
      try Tokenizer(TinyVocabulary.byteLevel(merges: ["h e", "l l", "he ll", "Ġ w", "Ã ©"])),
      try Tokenizer(TinyVocabulary.byteLevel("llama-bpe", merges: ["a b", "ð Ł"])),
      try Tokenizer(TinyVocabulary.sentencePiece(["▁", "a", "b", "ab", "▁a", "é"])),
    ]
  }

  @Test("Text comes back from its ids")
  func roundTrip() throws {
    for tokenizer in try Self.tokenizers() {
      for seed in 0..<40 {
        let text = TinyVocabulary.text(scalars: 200, seed: UInt64(seed))
        #expect(tokenizer.decode(tokenizer.encode(text)).utf8.elementsEqual(text.utf8), "seed \(seed)")
      }
    }
  }

  @Test("An incremental decoder gives whole characters, and in the end what decoding at once gives")
  func incremental() throws {
    for tokenizer in try Self.tokenizers() {
      for seed in 0..<20 {
        let ids = tokenizer.encode(TinyVocabulary.text(scalars: 60, seed: UInt64(seed)))
        var decoder = IncrementalDecoder(tokenizer, continuesText: false)
        var text = ""
        for id in ids {
          let piece = decoder.append(id)
          #expect(!piece.unicodeScalars.contains("\u{FFFD}"))
          text += piece
        }
        #expect(decoder.finish() == "")
        #expect(text.utf8.elementsEqual(tokenizer.decode(ids).utf8), "seed \(seed)")
      }
    }
  }

  @Test("What can never become a character turns into U+FFFD, at once where it can be known")
  func brokenText() throws {
    let tokenizer = try Tokenizer(TinyVocabulary.byteLevel())
    let cases: [([Int32], [String])] = [
      ([0xC3, 0xA9], ["", "é"]), ([0xFF, 0x61], ["\u{FFFD}", "a"]), ([0xC3, 0x61], ["", "\u{FFFD}a"]),
      ([0xF0, 0x9F, 0x98, 0x80], ["", "", "", "😀"]), ([0xED, 0xA0], ["", "\u{FFFD}\u{FFFD}"]),
      ([0xF0, 0x9F, 0x61], ["", "", "\u{FFFD}a"]), ([0x80], ["\u{FFFD}"]),
    ]
    for (ids, expected) in cases {
      var decoder = IncrementalDecoder(tokenizer)
      #expect(ids.map { decoder.append($0) } == expected)
      #expect(decoder.finish() == "")
    }
    var decoder = IncrementalDecoder(tokenizer)
    #expect(decoder.append(0xE2) == "")
    #expect(decoder.finish() == "\u{FFFD}")
  }

  @Test(
    "Every sequence of four bytes out of the interesting ones is repaired as the standard library repairs the whole")
  func repairOfAllSequences() {
    let bytes: [UInt8] = [0x41, 0x80, 0x9F, 0xA0, 0xBF, 0xC1, 0xC3, 0xE0, 0xED, 0xE2, 0xF0, 0xF4, 0xF5]
    for a in bytes {
      for b in bytes {
        for c in bytes {
          for d in bytes {
            let sequence = [a, b, c, d]
            var stream = UTF8Stream()
            var text = ""
            for byte in sequence { text += stream.append([byte]) }
            text += stream.finish()
            #expect(text.utf8.elementsEqual(String(decoding: sequence, as: UTF8.self).utf8), "\(sequence)")
          }
        }
      }
    }
  }

  @Test("The space in front of a text is taken away once, at the start, and not in a continuation")
  func leadingSpace() throws {
    let tokenizer = try Tokenizer(TinyVocabulary.sentencePiece(["▁", "a", "▁a"]))
    #expect(tokenizer.decode([1, 261, 261]) == "a a")
    var answer = IncrementalDecoder(tokenizer)
    #expect(answer.append(261) == " a")
    var text = IncrementalDecoder(tokenizer, continuesText: false)
    #expect(text.append(1) == "")
    #expect(text.append(261) == "a")
    #expect(text.append(261) == " a")
  }

  @Test("Tokens are spelled in the model's alphabet, and ids outside of the vocabulary are nothing")
  func spelling() throws {
    let bytes = try Tokenizer(TinyVocabulary.byteLevel(merges: ["Ġ w"], special: ["<|end|>"]))
    #expect(bytes.token(256) == "Ġw" && bytes.token(257) == "<|end|>" && bytes.token(10) == "Ċ")
    #expect(Array(bytes.piece(256)) == [0x20, 0x77])
    let pieces = try Tokenizer(TinyVocabulary.sentencePiece(["▁a"]))
    #expect(pieces.token(259) == "▁a" && pieces.token(13) == "<0x0A>" && Array(pieces.piece(13)) == [10])
    for id in [-1, Int32(bytes.vocabularySize), .max, .min] {
      #expect(bytes.piece(id).isEmpty && bytes.token(id) == "" && bytes.decode([id]) == "")
    }
  }
}
