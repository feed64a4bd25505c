import Foundation
import Kernels
import ModelJSON
import TestSupport
import Testing
import Tokenizers

@testable import Constraints

/// Masks against the bytes of each token.
@Suite struct TokenMaskTests {
  static let schemas: [String] = [
    #"{"type":"object"}"#,
    #"{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":150},"tags":{"type":"array","items":{"enum":["a","ab","b c"]},"maxItems":3}},"required":["name"],"additionalProperties":{"type":"number"}}"#,
    #"{"type":"array","items":{"anyOf":[{"type":"string","pattern":"^[a-z ]+$"},{"type":"string","maxLength":5},{"type":"null"}]}}"#,
    #"{"type":"string","minLength":30,"maxLength":40}"#,
  ]

  /// The tokens of which all bytes are allowed, one by one.
  static func bruteForce(_ matcher: ConstraintMatcher, _ trie: TokenTrie) -> [Int32] {
    (0..<Int32(trie.vocabularySize)).filter {
      var copy = matcher
      return copy.accept($0)
    }
  }

  /// Follows random tokens, and compares the mask at each of some places.
  static func compare(_ constraint: Constraint, _ trie: TokenTrie, places: Int, seed: UInt64) throws {
    let table = ConstraintTable(constraint, trie)
    var random = SplitMix64(seed: seed)
    var matcher = ConstraintMatcher(table)
    for _ in 0..<places {
      let allowed = matcher.allowedTokens()
      #expect(allowed == bruteForce(matcher, trie))
      guard let token = allowed.randomElement(using: &random), matcher.accept(token), !matcher.hasEnded else {
        matcher = ConstraintMatcher(table)
        continue
      }
    }
    #expect(!matcher.hasFailed)
  }

  /// A vocabulary of bytes, and of random pieces of JSON, some of them twice.
  static func madeUp(seed: UInt64) -> TokenTrie {
    var random = SplitMix64(seed: seed)
    let parts = [
      "\"", "{", "}", "[", "]", ",", ":", " ", "\n", "a", "b", "name", "é", "1", "0", "\\", "u", ".", "null", "tags",
    ]
    var pieces: [[UInt8]] = (0..<256).map { [UInt8($0)] }
    for _ in 0..<600 {
      let text = (0..<Int.random(in: 1...6, using: &random)).map { _ in parts.randomElement(using: &random) ?? "" }
        .joined()
      pieces.append(Array(text.utf8))
    }
    pieces.append(Array(String(repeating: "[", count: 30).utf8))
    pieces.append(Array(String(repeating: " ", count: 24).utf8))
    let all = pieces
    return TokenTrie(vocabularySize: all.count + 2, ends: [Int32(all.count)]) {
      $0 < all.count ? all[Int($0)][...] : nil
    }
  }

  /// A published vocabulary of 32,000 to 151,643 tokens.
  static func real(_ name: String) throws -> TokenTrie {
    if name == "qwen" {
      // Lines of a token in base64 and its rank.
      let lines = try String(contentsOfFile: Assets.path("tokenizers/qwen/qwen.tiktoken"), encoding: .utf8)
        .split(separator: "\n")
      let pieces = lines.map { Array(Data(base64Encoded: String($0.prefix { $0 != " " })) ?? Data()) }
      return TokenTrie(vocabularySize: pieces.count + 1, ends: [Int32(pieces.count)]) {
        $0 < pieces.count ? pieces[Int($0)][...] : nil
      }
    }
    let json = try Data(contentsOf: URL(filePath: Assets.path("tokenizers/\(name)/tokenizer.json")))
    let tokenizer = try Tokenizer(json: Array(json))
    return TokenTrie(vocabularySize: tokenizer.vocabularySize, ends: tokenizer.endOfGeneration) {
      tokenizer.isSpecial($0) ? nil : tokenizer.piece($0)
    }
  }

  @Test(arguments: schemas, [1, 2, 3] as [UInt64])
  func `a mask is what the bytes of each token say`(schema: String, seed: UInt64) throws {
    let constraint = try Constraint(documentOf: JSONValue(parsing: schema))
    try Self.compare(constraint, Self.madeUp(seed: seed), places: 60, seed: seed)
  }

  @Test func `near the bound on nesting a mask is exact, and the document can still end`() throws {
    let constraint = try Constraint(documentOf: ["type": "array"])
    let trie = Self.madeUp(seed: 4)
    let table = ConstraintTable(constraint, trie)
    var matcher = ConstraintMatcher(table)
    var depth = 0
    while matcher.accept([UInt8(ascii: "[")]) {
      depth += 1
      if depth > 60 { #expect(matcher.allowedTokens() == Self.bruteForce(matcher, trie), "at \(depth)") }
    }
    #expect(depth == Int(Grammar.depthLimit))
    for _ in 0..<depth { matcher.take([UInt8(ascii: "]")]) }
    #expect(matcher.canEnd)
  }

  @Test(
    .enabled(if: Assets.available, Comment(rawValue: Assets.missing)), arguments: ["gpt2", "llama2", "falcon", "qwen"])
  func `masks of real vocabularies are exact`(name: String) throws {
    let trie = try Self.real(name)
    let constraint = try Constraint(documentOf: JSONValue(parsing: Self.schemas[1]))
    try Self.compare(constraint, trie, places: 6, seed: 1)
  }

  @Test func `only end tokens follow a document, and nothing follows them`() throws {
    let trie = Self.madeUp(seed: 1)
    var matcher = ConstraintMatcher(ConstraintTable(try Constraint(documentOf: ["type": "boolean"]), trie))
    #expect(!matcher.canEnd)
    matcher.take(Array("true".utf8))
    #expect(matcher.canEnd)
    #expect(matcher.allowedTokens() == trie.ends)
    matcher.take(trie.ends[0])
    #expect(matcher.hasEnded && matcher.allowedTokens().isEmpty)
    matcher.refuse(trie.ends[0])
  }

  @Test func `a refused token changes nothing`() throws {
    let constraint = try Constraint(documentOf: JSONValue(parsing: Self.schemas[1]))
    let table = ConstraintTable(constraint, .ofBytes)
    var matcher = ConstraintMatcher(table)
    matcher.take(Array(#"{"name":"x","tags":["a""#.utf8))
    let before = matcher.allowedTokens()
    for text in ["]]", "]}}", ",\"b c\"],\"x", ",\"b c\"]}!", "x", "],\"tags\""] {
      matcher.refuse(Array(text.utf8 + [0]))
      #expect(matcher.allowedTokens() == before, "\(text)")
    }
    matcher.take(Array(",\"b c\"]}".utf8))
    #expect(matcher.canEnd)
  }

  @Test func `forced bytes are those that must come`() throws {
    let schema: JSONValue = [
      "type": "object", "properties": ["answer": ["enum": ["yes", "yesterday"]]], "required": ["answer"],
    ]
    var matcher = ConstraintMatcher(try Constraint(.json(schema)))
    #expect(matcher.forcedBytes() == [UInt8(ascii: "{")])
    matcher.take(Array("{\"".utf8))
    #expect(String(decoding: matcher.forcedBytes(), as: UTF8.self) == "answer\":")
    matcher.take(Array("answer\":\"".utf8))
    #expect(String(decoding: matcher.forcedBytes(), as: UTF8.self) == "yes")
    #expect(matcher.forcedBytes(limit: 2).count == 2)
    matcher.take(Array("yest".utf8))
    #expect(String(decoding: matcher.forcedBytes(), as: UTF8.self) == "erday\"")
  }

  @Test func `strings far from their bounds share a mask`() throws {
    let constraint = try Constraint(documentOf: ["type": "string", "minLength": 100, "maxLength": 5000])
    let trie = Self.madeUp(seed: 2)
    let table = ConstraintTable(constraint, trie)
    var matcher = ConstraintMatcher(table)
    matcher.take([UInt8(ascii: "\"")])
    _ = matcher.allowedTokens()
    matcher.take(Array(String(repeating: "a", count: 2000).utf8))
    _ = matcher.allowedTokens()
    let masks = table.maskCount
    for _ in 0..<2500 {
      _ = matcher.allowedTokens()
      matcher.take([UInt8(ascii: "b")])
    }
    #expect(table.maskCount == masks)
    #expect(matcher.allowedTokens() == Self.bruteForce(matcher, trie))
  }
}
