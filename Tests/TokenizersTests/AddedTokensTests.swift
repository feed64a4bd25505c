import Kernels
import Testing

@testable import Tokenizers

@Suite("Added tokens")
struct AddedTokensTests {
  /// The first place where a token starts, and the longest there, by trying all of them at all places.
  private func defined(_ tokens: [[UInt8]], _ text: [UInt8], from start: Int) -> (index: Int, start: Int)? {
    for position in start..<text.count {
      let matching = tokens.indices.filter { text[position...].starts(with: tokens[$0]) }
      if let best = matching.max(by: { (tokens[$0].count, -$0) < (tokens[$1].count, -$1) }) { return (best, position) }
    }
    return nil
  }

  @Test("The leftmost and longest is found, as trying all tokens at all places finds it")
  func againstDefinition() {
    var random = SplitMix64(seed: 7)
    for _ in 0..<300 {
      let tokens = (0..<6).map { _ in
        (0...Int(random.next() % 4)).map { _ in UInt8(ascii: "a") + UInt8(random.next() % 2) }
      }
      let text = (0..<20).map { _ in UInt8(ascii: "a") + UInt8(random.next() % 3) }
      let added = AddedTokens(tokens.enumerated().map { AddedToken(id: Int32($0), content: $1) })
      text.withUnsafeBufferPointer { bytes in
        for start in 0..<text.count {
          switch (added.next(in: bytes, from: start, isOpen: false), defined(tokens, text, from: start)) {
          case (.token(let token, let place), let best?):
            #expect(Int(token.id) == best.index && place == best.start)
          case (.none(let end), nil): #expect(end == text.count)
          default: Issue.record("\(tokens) in \(text) from \(start)")
          }
        }
      }
    }
  }

  @Test("In open text it waits where a token may go on, and only there")
  func openText() {
    let added = AddedTokens(
      ["<a>", "<a>b", "<c"].enumerated().map { AddedToken(id: Int32($0), content: Array($1.utf8)) })
    let cases: [(text: String, waitsFrom: Int?)] = [
      ("x<", 1), ("x<a", 1), ("x<a>", 1), ("x<b", nil), ("x<a>b", nil), ("x<c", nil), ("xy", nil),
    ]
    for (text, place) in cases {
      let bytes = Array(text.utf8)
      bytes.withUnsafeBufferPointer { bytes in
        switch added.next(in: bytes, from: 0, isOpen: true) {
        case .none(let before): #expect(before == place ?? bytes.count, "\(text)")
        case .token: #expect(place == nil, "\(text)")
        }
      }
    }
  }

  @Test("Thousands of tokens that begin alike do not make every place cost thousands of steps")
  func manyAlike() throws {
    let unused = (0..<6000).map { "<unused\($0)>" }
    let tokenizer = try Tokenizer(TinyVocabulary.byteLevel(userDefined: unused))
    let text = String(repeating: "<", count: 1 << 20) + "<unused5999>"
    let ids = tokenizer.encode(text)
    #expect(ids.count == (1 << 20) + 1 && ids.last == 256 + 5999)
  }
}
