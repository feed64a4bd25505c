import Foundation
import Testing

@testable import Tokenizers

/// Pre-tokenizers against what Python's `regex` makes of their expressions (Scripts/record-pieces.py).
@Suite("Recorded pieces of pre-tokenizers")
struct RecordedPiecesTests {
  private struct Recording: Decodable {
    let texts: [String]
    /// Lengths in bytes of the pieces of each text.
    let pieces: [String: [[Int]]]
  }

  private static let recording: Recording? = {
    let path = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Golden/tokenizers/pieces.json")
    return try? JSONDecoder().decode(Recording.self, from: Data(contentsOf: path))
  }()

  @Test(
    "Pieces are those of the expressions, whole and in two parts",
    arguments: [
      "gpt-2", "llama-bpe", "qwen2", "gpt-4o", "tekken", "deepseek-v3", "kimi-k2", "tiny_aya", "superbpe", "afmoe",
      "exaone-moe", "chameleon", "spark2_5",
    ])
  func recorded(_ name: String) throws {
    let recording = try #require(Self.recording)
    let expected = try #require(recording.pieces[name])
    let preTokenizer = try #require(PreTokenizer.named(name)).preTokenizer
    for (text, lengths) in zip(recording.texts, expected) {
      let bytes = Array(text.utf8)
      #expect(pieces(preTokenizer, bytes, cut: 0) == lengths, "\(text.debugDescription)")
      let middle = text.utf8.distance(
        from: text.startIndex,
        to: text.unicodeScalars.index(text.startIndex, offsetBy: text.unicodeScalars.count / 2))
      #expect(pieces(preTokenizer, bytes, cut: middle) == lengths, "\(text.debugDescription) cut at \(middle)")
    }
    #expect(recording.texts.count == expected.count && expected.count > 100)
  }

  /// The lengths of pieces where the text up to `cut` comes first.
  private func pieces(_ preTokenizer: PreTokenizer, _ bytes: [UInt8], cut: Int) -> [Int] {
    bytes.withUnsafeBufferPointer { bytes in
      var lengths: [Int] = []
      let settled = preTokenizer.forEachWord(in: ScalarText(bytes), from: 0, to: cut, isOpen: true) {
        lengths.append($1 - $0)
      }
      _ = preTokenizer.forEachWord(in: ScalarText(bytes), from: settled, to: bytes.count, isOpen: false) {
        lengths.append($1 - $0)
      }
      return lengths
    }
  }
}
