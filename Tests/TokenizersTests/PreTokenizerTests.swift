import Testing

@testable import Tokenizers

@Suite("Pre-tokenizers")
struct PreTokenizerTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let text: String
    let words: [String]
    var testDescription: String { "\(name): \(text.debugDescription)" }

    init(_ name: String, _ text: String, _ words: [String]) {
      (self.name, self.text, self.words) = (name, text, words)
    }
  }

  static let cases = [
    Case("gpt-2", "Hello world", ["Hello", " world"]),
    Case("gpt-2", "it's we'll I'M", ["it", "'s", " we", "'ll", " I", "'", "M"]),
    Case("gpt-2", "a  b\n\n c \t", ["a", " ", " b", "\n\n", " c", " \t"]),
    Case("gpt-2", "x=123abc!?", ["x", "=", "123", "abc", "!?"]),
    Case("gpt-2", "  \n", ["  \n"]),
    Case("gpt-2", "'", ["'"]),
    Case("gpt-2", "a\u{301}b ٣٤", ["a", "\u{301}", "b", " ٣٤"]),
    Case("smollm", "in 1984.", ["in", " ", "1", "9", "8", "4", "."]),
    Case("smollm", "a  3", ["a", "  ", "3"]),
    Case("llama-bpe", "I'LL go\tnow 12345", ["I", "'LL", " go", "\tnow", " ", "123", "45"]),
    Case("llama-bpe", "end.\n\n  Next", ["end", ".\n\n", " ", " Next"]),
    Case("llama-bpe", " \n \n x", [" \n \n", " x"]),
    Case("llama-bpe", "(word) $x", ["(word", ")", " $", "x"]),
    Case("qwen2", "2024 年", ["2", "0", "2", "4", " 年"]),
    Case("qwen35", "हिन्दी", ["हिन्दी"]),
    Case("qwen2", "हि", ["ह", "ि"]),
    Case("gpt-4o", "HTTPServer isn't", ["HTTPServer", " isn't"]),
    Case("gpt-4o", "camelCaseABC", ["camel", "Case", "ABC"]),
    Case("gpt-4o", "a//b", ["a", "//", "b"]),
    Case("tekken", "it's 12", ["it", "'s", " ", "1", "2"]),
    Case("falcon", "a, b 12345", ["a", ",", " b", " ", "123", "45"]),
    Case("default", "a 1234!", ["a", " ", "123", "4", "!"]),
    Case("deepseek-llm", "ab 12  \n你好", ["ab", " ", "12", "  ", "\n", "你好"]),
    Case("deepseek-coder", "ab, 12", ["ab", ",", " ", "1", "2"]),
    Case("deepseek-v3", "don't 1234 你好", ["don", "'t", " ", "123", "4", " ", "你好"]),
    Case("deepseek-llm", "a   你  ", ["a", "   ", "你", "  "]),
    Case("bailingmoe2", "It'S 12\n \n x", ["It", "'S", " ", "1", "2", "\n \n", " x"]),
    Case("seed-coder", "a; \n.\n\nb 12", ["a", ";", " \n", ".", "\n\n", "b", " ", "1", "2"]),
    Case("laguna", "a;\n\n b\r\nc", ["a", ";", "\n\n", " b", "\r", "\n", "c"]),
    Case("ufakzeka", "Ali'nin it's 12", ["Ali", "'nin", " it", "'s", " ", "1", "2"]),
    Case("minicpm5", "I'm x1234567", ["I", "'m", " x", "123", "456", "7"]),
    Case("youtu", "가나ㄱ、。々中あHello 12", ["가나ㄱ", "、。", "々", "中あ", "Hello", " ", "1", "2"]),
    Case("bloom", "Hello, (the) 12.5  x", ["Hello", ", (", "the", ")", " 12", ".", "5", " ", " x"]),
    Case("viking", "a 12,3", ["a", " ", "1", "2", ",", "3"]),
    Case("minimax-m2", "isn't 1234", ["isn't", " ", "123", "4"]),
    Case("hy_v4", "12345", ["123", "45"]),
  ]

  private func words(_ preTokenizer: PreTokenizer, _ text: String) -> [String] {
    let bytes = Array(text.utf8)
    return bytes.withUnsafeBufferPointer { bytes in
      var words: [String] = []
      let end = preTokenizer.forEachWord(in: ScalarText(bytes), from: 0, to: bytes.count, isOpen: false) { start, end in
        words.append(String(decoding: bytes[start..<end], as: UTF8.self))
      }
      #expect(end == bytes.count)
      return words
    }
  }

  @Test("Words are cut where the pattern of the name says", arguments: cases)
  func cut(_ testCase: Case) throws {
    let named = try #require(PreTokenizer.named(testCase.name))
    #expect(words(named.preTokenizer, testCase.text) == testCase.words)
  }

  @Test("A name that is not known has no pre-tokenizer")
  func unknownName() {
    #expect(PreTokenizer.named("no-such-name") == nil)
  }

  @Test(
    "Open text gives the same words wherever it is cut",
    arguments: [
      "gpt-2", "smollm", "llama-bpe", "qwen35", "gpt-4o", "tekken", "falcon", "default", "deepseek-llm",
      "deepseek-coder", "deepseek-v3", "seed-coder", "laguna", "ufakzeka", "minicpm5", "youtu", "bloom", "viking",
    ])
  func openText(_ name: String) throws {
    let preTokenizer = try #require(PreTokenizer.named(name)).preTokenizer
    let text = TinyVocabulary.text(scalars: 120, seed: 11) + " it's we'Ll 12345  \n\n a.\r\n"
    let bytes = Array(text.utf8)
    let whole = words(preTokenizer, text)
    let cuts = text.unicodeScalars.indices.map { text.utf8.distance(from: text.startIndex, to: $0) }
    bytes.withUnsafeBufferPointer { bytes in
      for cut in cuts {
        var found: [String] = []
        let body = { (start: Int, end: Int) in found.append(String(decoding: bytes[start..<end], as: UTF8.self)) }
        let settled = preTokenizer.forEachWord(in: ScalarText(bytes), from: 0, to: cut, isOpen: true, body)
        #expect(settled <= cut)
        _ = preTokenizer.forEachWord(in: ScalarText(bytes), from: settled, to: bytes.count, isOpen: false, body)
        #expect(found == whole, "cut at \(cut)")
      }
    }
  }

  @Test("The classes of scalars are Unicode's, as the standard library knows them")
  func classes() {
    for value in (0 as UInt32)..<0x3000 {
      guard let scalar = Unicode.Scalar(value) else { continue }
      let found = ScalarClasses.shared[value]
      let category = scalar.properties.generalCategory
      // Scalars that one of the two versions of Unicode does not know yet say nothing.
      // So does U+0295, whose category changed.
      if category == .unassigned || found == [] || value == 0x295 { continue }
      #expect(
        found.contains(.letter)
          == [.uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter].contains(category),
        "\(value)")
      #expect(found.contains(.number) == [.decimalNumber, .letterNumber, .otherNumber].contains(category), "\(value)")
      #expect(found.contains(.space) == scalar.properties.isWhitespace, "\(value)")
      #expect(found.contains(.mark) == [.nonspacingMark, .spacingMark, .enclosingMark].contains(category), "\(value)")
      #expect(found.contains(.lower) == (category == .lowercaseLetter), "\(value)")
    }
    #expect(ScalarClasses.shared[0x10FFFF] == [])
    #expect(ScalarClasses.shared[.max] == [])
  }
}
