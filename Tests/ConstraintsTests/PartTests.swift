import ModelJSON
import Testing

@testable import Constraints

/// Text and documents put together.
@Suite struct PartTests {
  static let tool: JSONValue = [
    "type": "object", "properties": ["city": ["type": "string"]], "required": ["city"], "additionalProperties": false,
  ]

  @Test func `a sequence of text and documents`() throws {
    let constraint = try Constraint(.sequence([.text("<call>"), .json(["type": "integer"]), .text("</call>")]))
    #expect(constraint.accepts("<call>12</call>"))
    for text in ["<call></call>", "<call>12", "12", "<call>1.5</call>", "<call>12</call> "] {
      #expect(!constraint.accepts(text), "\(text)")
    }
  }

  @Test func `calls of tools`() throws {
    let nothing: JSONValue = ["type": "object", "additionalProperties": false]
    let tools: [(prefix: Constraint.Part, parameters: JSONValue)] = [
      (.text("<tool_call>\n{\"name\": \"weather\", \"arguments\": "), Self.tool),
      (.text("<tool_call>\n{\"name\": \"weather_now\", \"arguments\": "), nothing),
    ]
    let one = try Constraint.toolCalls(tools, suffix: .text("}\n</tool_call>"), separator: nil)
    let many = try Constraint.toolCalls(tools, suffix: .text("}\n</tool_call>"), separator: .text("\n"))
    let weather = "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Rome\"}}\n</tool_call>"
    let now = "<tool_call>\n{\"name\": \"weather_now\", \"arguments\": {}}\n</tool_call>"
    for text in [weather, now] { #expect(one.accepts(text) && many.accepts(text)) }
    #expect(!one.accepts(weather + "\n" + now))
    #expect(many.accepts(weather + "\n" + now + "\n" + weather))
    for text in [
      weather + "\n", weather + now, "<tool_call>\n{\"name\": \"weather\", \"arguments\": {}}\n</tool_call>",
    ] {
      #expect(!many.accepts(text), "\(text)")
    }
  }

  @Test func `alternatives, options and repetitions`() throws {
    let part = Constraint.Part.sequence([
      .optional(.text("a")), .repeated(.alternatives([.text("b"), .text("bc")]), separator: .text("-"), in: 2...3),
    ])
    let constraint = try Constraint(part)
    for text in ["b-b", "ab-bc", "bc-bc-b"] { #expect(constraint.accepts(text), "\(text)") }
    for text in ["b", "b-b-b-b", "a", "b-", "aab-b"] { #expect(!constraint.accepts(text), "\(text)") }
    let none = try Constraint(.repeated(.text("x"), separator: .text(","), in: 0...2))
    for text in ["", "x", "x,x"] { #expect(none.accepts(text), "\(text)") }
    #expect(!none.accepts("x,x,x"))
  }

  @Test func `a pattern of text`() throws {
    let constraint = try Constraint(.pattern("^[a-z]+\\(\"\\d*\"\\)$"))
    #expect(constraint.accepts("call(\"12\")"))
    #expect(!constraint.accepts("call(12)"))
    #expect(throws: ConstraintError.self) { try Constraint(.pattern("(?=a)")) }
  }

  @Test func `text up to a mark ends at the first one that is not quoted`() throws {
    let constraint = try Constraint(.sequence([.textEnding(with: "</think>"), .json(["type": "integer"])]))
    for text in [
      "hm</think>1", "</think>1", "a<</think>1", "</thin</think>1", "`</think>`\nx</think>12", "`a\n</think>3",
    ] {
      #expect(constraint.accepts(text), "\(text)")
    }
    for text in ["hm</think>x</think>1", "`</think>1", "hm 1", "</think>"] {
      #expect(!constraint.accepts(text), "\(text)")
    }
  }

  @Test func `special tokens stand where they are asked for, and nowhere else`() throws {
    let constraint = try Constraint(
      .sequence([.optional(.sequence([.anyText, .special(300)])), .special(301), .json(Self.tool)]))
    let trie = TokenTrie(vocabularySize: 302, ends: [256]) { $0 < 256 ? [UInt8($0)] : nil }
    var matcher = ConstraintMatcher(ConstraintTable(constraint, trie))
    #expect(matcher.allowedTokens() == Array(0...255) + [300, 301])
    matcher.take(Array("so \"[{".utf8))
    #expect(matcher.allowedTokens() == Array(0...255) + [300])
    matcher.refuse(301)
    matcher.take(300)
    #expect(matcher.allowedTokens() == [301])
    #expect(matcher.forcedBytes().isEmpty)
    matcher.take(301)
    #expect(matcher.allowedTokens() == [Int32(UInt8(ascii: "{"))])
    matcher.take(Array("{\"city\":\"x\"}".utf8))
    #expect(matcher.allowedTokens() == [256])
  }

  @Test func `the same constraint is the same, another of the same schema is not`() throws {
    let constraint = try Constraint(documentOf: Self.tool)
    let other = try Constraint(documentOf: Self.tool)
    #expect(constraint == constraint)
    #expect(constraint != other)
  }
}
