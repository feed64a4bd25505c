import Kernels
import Testing

@testable import Tokenizers

@Suite("Text of prompts") struct PromptTextTests {
  private let tokenizer: Tokenizer

  init() throws {
    tokenizer = try Tokenizer(
      TinyVocabulary.byteLevel(
        merges: ["t h", "th e"], special: ["<s>", "<end>"], userDefined: ["<e", "<tool>"]))
  }

  private func prompt(_ parts: [(String, isContent: Bool)]) -> PromptText {
    var prompt = PromptText()
    for part in parts { prompt.append(part.0, isContent: part.isContent) }
    return prompt
  }

  private func isSpecial(_ ids: [Int32]) -> [String] { ids.filter(tokenizer.isSpecial).map(tokenizer.token) }

  @Test("special tokens act in trusted text only, also where they lie across its border")
  func borders() {
    let spelling = Array("<end>")
    for trusted in 0...spelling.count {
      for reversed in [false, true] {
        let parts = [(String(spelling[..<trusted]), reversed), (String(spelling[trusted...]), !reversed)]
        let prompt = prompt([("a", false)] + parts + [("b", true)])
        let acts = reversed ? trusted == 0 : trusted == spelling.count
        let ids = tokenizer.encode(prompt)
        #expect(isSpecial(ids) == (acts ? ["<end>"] : []), "\(trusted), \(reversed)")
        #expect(tokenizer.decode(ids, skipsSpecial: false) == "a<end>b")
        if !acts { #expect(ids == tokenizer.encode("a<end>b")) }
      }
    }
  }

  @Test("text is not cut where trusted and other text meet")
  func words() {
    #expect(
      tokenizer.encode(prompt([("so th", false), ("e o", true), ("ther", false)])) == tokenizer.encode("so the other"))
  }

  @Test("tokens that anybody may write act everywhere")
  func userDefined() throws {
    let tool = try #require(tokenizer.id(ofSpecial: "<tool>"))
    for isContent in [true, false] { #expect(tokenizer.encode(prompt([("<tool>", isContent)])) == [tool]) }
  }

  @Test("all trusted is as parsing, all from outside as plain text; symbols say the same before and after encoding")
  func random() {
    var random = SplitMix64(seed: 3)
    let pieces = ["<s>", "<end>", "<tool>", "<e", "<", "nd>", "the", " ", "ü", "\n"]
    for _ in 0..<200 {
      let parts = (0..<Int(random.next() % 8)).map { _ in
        (pieces[Int(random.next() % UInt64(pieces.count))], random.next() % 2 == 0)
      }
      let text = parts.map(\.0).joined()
      #expect(tokenizer.encode(prompt([(text, false)])) == tokenizer.encode(text, special: .parse))
      #expect(tokenizer.encode(prompt([(text, true)])) == tokenizer.encode(text))
      let mixed = prompt(parts.map { ($0.0, isContent: $0.1) })
      let (symbols, places) = tokenizer.symbols(mixed)
      #expect(tokenizer.symbols(tokenizer.encode(mixed)) == symbols)
      #expect(places.byte(of: symbols.count) == mixed.bytes.count)
      for cut in 0...symbols.count where cut == symbols.count || !(0x80..<0xC0).contains(symbols[cut]) {
        let rest = tokenizer.encode(mixed.dropping(places.byte(of: cut)), startsText: false)
        #expect(tokenizer.symbols(rest) == Array(symbols[cut...]))
        #expect(mixed.prefix(places.byte(of: cut)).bytes + mixed.dropping(places.byte(of: cut)).bytes == mixed.bytes)
      }
    }
  }

  @Test("content full of special tokens takes linear time")
  func linear() {
    let ids = tokenizer.encode(prompt([(String(repeating: "<end>", count: 100_000), true)]))
    #expect(isSpecial(ids).isEmpty)
  }
}
