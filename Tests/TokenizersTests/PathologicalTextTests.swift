import Testing

@testable import Tokenizers

/// Text that makes patterns read ahead: time that grew with the square of its length would take hours here.
@Suite("Pathological text")
struct PathologicalTextTests {
  static let texts: [(name: String, text: String)] = [
    ("letters", String(repeating: "x", count: 1 << 18)),
    ("spaces before a word", String(repeating: " ", count: 1 << 18) + "你"),
    ("tabs and line breaks", String(repeating: "\t\n", count: 1 << 17)),
    ("capitals", "中" + String(repeating: "A", count: 1 << 18)),
    ("digits", String(repeating: "7", count: 1 << 18) + "x"),
    ("emoji", String(repeating: "😀", count: 100_000)),
    ("marks", "e" + String(repeating: "\u{301}", count: 1 << 16)),
    ("symbols", String(repeating: "<", count: 1 << 18)),
  ]

  @Test(
    "Long runs come back whole from every pre-tokenizer",
    arguments: [
      "gpt-2", "falcon", "llama-bpe", "qwen35", "gpt-4o", "tekken", "default", "deepseek-llm", "deepseek-coder",
      "deepseek-v3", "youtu", "bloom", "laguna", "kimi-k2", "tiny_aya", "superbpe", "afmoe", "exaone-moe", "chameleon",
      "spark2_5",
    ])
  func preTokenizers(_ name: String) throws {
    let preTokenizer = try #require(PreTokenizer.named(name)).preTokenizer
    for (kind, text) in Self.texts {
      let bytes = Array(text.utf8)
      var covered = 0
      let end = bytes.withUnsafeBufferPointer { bytes in
        preTokenizer.forEachWord(in: ScalarText(bytes), from: 0, to: bytes.count, isOpen: false) { start, end in
          if start == covered { covered = end }
        }
      }
      #expect(covered == bytes.count && end == bytes.count, "\(kind)")
    }
  }

  @Test("A word looks its pairs up at most three times a symbol, however long it is")
  func lookUps() {
    var table = MergeTable(capacity: 4)
    // 0 is a letter, and every token merges with itself to the next.
    for token in 0..<20 as Range<Int32> {
      table.insert(left: token, right: token, rank: UInt32(token), result: token + 1)
    }
    for length in [2, 39, 41, 1000, 1 << 16] {
      var merging = PairMerging()
      merging.symbols = [Int32](repeating: 0, count: length)
      merging.merge(with: table)
      #if DEBUG
        #expect(merging.lookUps <= 3 * length, "\(length) symbols, \(merging.lookUps) look-ups")
        #expect(merging.heapSteps <= 4 * length * max(1, length.bitWidth - length.leadingZeroBitCount))
      #endif
      #expect(merging.symbols.reduce(0) { $0 + (1 << Int($1)) } == length)
    }
  }
}
