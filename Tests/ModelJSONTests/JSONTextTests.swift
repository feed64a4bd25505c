import Kernels
import ModelJSON
import TestSupport
import Testing

/// What is written is JSON, on one line, and reads back as the same value.
struct JSONTextTests {
  @Test(
    arguments: [
      (nil, "null"), (true, "true"), (-7, "-7"), (0.1, "0.1"), (100.0, "100.0"), (1e300, "1e+300"), (-0.0, "-0.0"),
      (.number(.nan), "null"), (.number(.infinity), "null"), (.number(-.infinity), "null"),
      ([1, "a", []], "[1, \"a\", []]"), (["b": 1, "a": [:]], "{\"b\": 1, \"a\": {}}"),
      ("q\"\\/\n\r\t\u{0}\u{1f}\u{7f}\u{e9}", "\"q\\\"\\\\/\\n\\r\\t\\u0000\\u001f\\u007f\u{e9}\""),
    ] as [(JSONValue, String)])
  func writes(_ value: JSONValue, _ expected: String) {
    #expect(value.text == expected)
  }

  @Test func doublesReadBackExactly() throws {
    var random = SplitMix64(seed: 1)
    for _ in 0..<20_000 {
      let value = Double(bitPattern: random.next())
      guard value.isFinite else { continue }
      #expect(try JSONValue(parsing: JSONValue(value).text) == .number(value))
    }
  }

  /// Numbers as vocabularies and configurations write them: the short path agrees with the standard library.
  @Test func shortDecimalsReadAsTheNearestDouble() throws {
    var random = SplitMix64(seed: 2)
    for _ in 0..<20_000 {
      let digits = UInt64.random(in: 0..<1_000_000_000_000_000, using: &random)
      let text = "\(digits).\(digits % 1000)e\(Int.random(in: -30...30, using: &random))"
      #expect(try JSONValue(parsing: text).double == Double(text))
    }
  }

  /// A text as large and as shaped as a large `tokenizer.json`: 128,000 tokens, 280,000 merges.
  @Test func readsALargeVocabulary() throws {
    var random = SplitMix64(seed: 3)
    func word() -> String {
      let length = Int.random(in: 1...9, using: &random)
      return String((0..<length).map { _ in "abcdefghij\u{120}\u{e9}".randomElement(using: &random)! })
    }
    var members = JSONObject()
    for index in 0..<128_000 { members["\(word())\(index)"] = JSONValue(index) }
    let merges = (0..<280_000).map { _ in JSONValue("\(word()) \(word())") }
    let value: JSONValue = ["model": ["vocab": .object(members), "merges": .array(merges)]]
    var bytes: [UInt8] = []
    value.write(to: &bytes)
    let read = try JSONValue(parsing: bytes)
    #expect(read["model"]?["vocab"]?.object?.count == 128_000)
    #expect(read == value)
  }
}
