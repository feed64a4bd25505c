import Kernels
import TestSupport
import Testing
import Tokenizers

@testable import Engine

/// What was read beside renderings that go on, differ late or differ early, against a plain search.
@Suite struct ReadTextTests {
  /// How a rendering relates to ids, found by trying how many of the newest may go.
  private static func expected(_ ids: [Int32], _ rendering: [Int32], _ tokenizer: Tokenizer) -> ReadText.Relation {
    let symbols = tokenizer.symbols(ids)
    if rendering.starts(with: symbols) { return .continues }
    for tail in 0..<ids.count {
      let kept = ids.dropLast(tail)
      guard let last = kept.last, tokenizer.isSpecial(last) else { continue }
      let start = tokenizer.symbols(Array(kept))
      if rendering.starts(with: start) { return .takesBack(tokens: tail, symbols: start.count) }
    }
    return .differs
  }

  @Test func `a rendering goes on after the last special token that both have`() throws {
    let tokenizer = try loadTiny().tokenizer
    let special = (0..<Int32(tokenizer.vocabularySize)).filter(tokenizer.isSpecial)
    var random = SplitMix64(seed: 11)
    func ids(_ count: Int) -> [Int32] {
      (0..<count).map { _ in
        random.next() % 4 == 0
          ? special[Int(random.next() % UInt64(special.count))]
          : tokenizer.encode(["a", "bc", " ", "é", "\n"][Int(random.next() % 5)])[0]
      }
    }
    var seen = (continues: 0, takesBack: 0, differs: 0)
    for _ in 0..<2000 {
      let read = ids(Int(random.next() % 20))
      let kept = read.prefix(Int(random.next() % UInt64(read.count + 1)))
      let rendering = tokenizer.symbols(Array(kept) + ids(Int(random.next() % 6)))
      var text = ReadText()
      // In two parts, of which the first may be folded where the rendering has it.
      let cut = Int(random.next() % UInt64(read.count + 1))
      // Bytes that are no text by themselves say something else together, so parts end at special tokens.
      let first = read.prefix(cut).lastIndex(where: tokenizer.isSpecial).map { $0 + 1 } ?? 0
      text.append(Array(read[..<first]), symbols: tokenizer.symbols(Array(read[..<first])))
      text.append(Array(read[first...]), symbols: tokenizer.symbols(Array(read[first...])))
      #expect(text.symbols == tokenizer.symbols(read) && text.count == text.symbols.count && text.tokens == read)
      let relation = text.relation(to: rendering)
      #expect(relation == Self.expected(read, rendering, tokenizer), "\(read) \(rendering)")
      switch relation {
      case .continues: seen.continues += 1
      case .takesBack: seen.takesBack += 1
      case .differs: seen.differs += 1
      }
    }
    #expect(min(seen.continues, seen.takesBack, seen.differs) > 50, "\(seen)")
  }

  /// Records of a store are input like any other.
  @Test func `numbers that no text has are kept as they are`() {
    var text = ReadText()
    let numbers: [Int32] = [1, 255, -1, .max, .min, 256, 0, 254, 300]
    text.append([.max, 7], symbols: numbers)
    #expect(text.symbols == numbers && text.relation(to: numbers + [1]) == .continues)
    #expect(text.relation(to: Array(numbers.dropLast())) == .differs)
  }
}
