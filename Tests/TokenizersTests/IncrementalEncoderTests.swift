import Testing

@testable import Tokenizers

@Suite("Encoding endless text")
struct IncrementalEncoderTests {
  private static func tokenizers() throws -> [(String, Tokenizer)] {
    let merges = ["h e", "l l", "Ġ w", "' s", "Ġ Ġ", "1 2", "Ċ Ċ"]
    var tokenizers: [(String, Tokenizer)] = []
    for name in ["gpt-2", "smollm", "llama-bpe", "gpt-4o", "falcon", "default", "deepseek-llm", "deepseek-v3"] {
      tokenizers.append(
        (name, try Tokenizer(TinyVocabulary.byteLevel(name, merges: merges, special: ["<|end|>", "<|end|>>"]))))
    }
    let pieces = ["▁", "a", "b", "ab", "▁a", "▁▁", "é", "a▁b"]
    tokenizers.append(("sentence piece", try Tokenizer(TinyVocabulary.sentencePiece(pieces))))
    return tokenizers
  }

  @Test(
    "Cut in two anywhere, even inside of a character, text gives the ids of the whole",
    arguments: [Tokenizer.SpecialTokens.plainText, .parse])
  func everySplit(_ special: Tokenizer.SpecialTokens) throws {
    let text = "he's well<|end|>  1234\n\n a b ab<|end|>>é" + TinyVocabulary.text(scalars: 80, seed: 3) + "</s> it'"
    let bytes = Array(text.utf8)
    for (name, tokenizer) in try Self.tokenizers() {
      let whole = tokenizer.encode(text, special: special)
      for cut in 0...bytes.count {
        var encoder = IncrementalEncoder(tokenizer, special: special)
        let ids = encoder.append(bytes[..<cut]) + encoder.append(bytes[cut...]) + encoder.finish()
        #expect(ids == whole, "\(name), cut at \(cut)")
      }
    }
  }

  @Test("Byte by byte, text gives the ids of the whole, broken characters repaired alike")
  func byteByByte() throws {
    for (name, tokenizer) in try Self.tokenizers() {
      for seed in 0..<10 {
        var bytes = Array(TinyVocabulary.text(scalars: 150, seed: UInt64(seed)).utf8)
        bytes[bytes.count / 2] = 0xE2
        bytes[bytes.count / 3] = 0xFF
        var encoder = IncrementalEncoder(tokenizer)
        let ids = bytes.flatMap { encoder.append([$0]) } + encoder.finish()
        #expect(ids == tokenizer.encode(bytes), "\(name), seed \(seed)")
      }
    }
  }

  @Test("Ids come as soon as they are certain")
  func promptness() throws {
    let tokenizer = try Tokenizer(TinyVocabulary.byteLevel(merges: ["h i"]))
    var encoder = IncrementalEncoder(tokenizer)
    #expect(encoder.append("hi") == [])
    #expect(encoder.append(" th") == [256])
    #expect(encoder.append("en.") == [32, 116, 104, 101, 110])
    #expect(encoder.finish() == [46])
    #expect(encoder.append("hi") == [])
    #expect(encoder.finish() == [256])
  }

  @Test("Text without any boundary is cut after 64 KiB, at the same places however it arrives")
  func withoutBoundary() throws {
    let tokenizer = try Tokenizer(TinyVocabulary.byteLevel(merges: ["a a"]))
    let limit = IncrementalEncoder.longestWait
    let text = [UInt8](repeating: 0x61, count: limit * 2 + 10)
    func encode(pieces size: Int) -> (ids: [Int32], longestWait: Int) {
      var encoder = IncrementalEncoder(tokenizer)
      var ids: [Int32] = []
      var given = 0
      var wait = 0
      for start in stride(from: 0, to: text.count, by: size) {
        let piece = text[start..<min(start + size, text.count)]
        given += piece.count
        ids += encoder.append(piece)
        wait = max(wait, given - ids.count * 2)
      }
      return (ids + encoder.finish(), wait)
    }
    let whole = encode(pieces: text.count)
    #expect(whole.ids == [Int32](repeating: 256, count: text.count / 2))
    let pieces = encode(pieces: 1000)
    #expect(pieces.ids == whole.ids)
    #expect(pieces.longestWait <= limit + 1000)
  }
}
