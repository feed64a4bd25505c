import ModelJSON
import Testing

@testable import Constraints

/// What cannot be kept is refused, with the place and the keyword.
@Suite struct RefusedSchemaTests {
  struct Refused: Sendable, CustomTestStringConvertible {
    let schema: String
    let pointer: String
    let keyword: String?
    var testDescription: String { schema }

    init(_ schema: String, _ pointer: String, _ keyword: String?) {
      (self.schema, self.pointer, self.keyword) = (schema, pointer, keyword)
    }
  }

  static let cases: [Refused] = [
    Refused(#"{"not":{"type":"null"}}"#, "#", "not"),
    Refused(#"{"type":"object","properties":{"a":{"if":{"type":"null"}}}}"#, "#/properties/a", "if"),
    Refused(#"{"type":"array","contains":{"type":"null"}}"#, "#", "contains"),
    Refused(#"{"type":"array","uniqueItems":true}"#, "#", "uniqueItems"),
    Refused(#"{"type":"array","items":{"typo":1}}"#, "#/items", "typo"),
    Refused(#"{"type":"object","dependentRequired":{}}"#, "#", "dependentRequired"),
    Refused(#"{"type":"object","unevaluatedProperties":false}"#, "#", "unevaluatedProperties"),
    Refused(#"{"type":"string","nullable":true}"#, "#", "nullable"),
    Refused(#"{"type":"strnig"}"#, "#", "type"), Refused(#"{"type":5}"#, "#", "type"),
    Refused(#"{"type":["string",1]}"#, "#", "type"),
    Refused(#"{"enum":[]}"#, "#", "enum"), Refused(#"{"enum":"a"}"#, "#", "enum"),
    Refused(#"{"type":"string","format":"regex"}"#, "#", "format"),
    Refused(#"{"type":"string","pattern":"(?=a)"}"#, "#", "pattern"),
    Refused(#"{"type":"string","pattern":"(?<!a)b"}"#, "#", "pattern"),
    Refused(#"{"type":"string","pattern":"(a)\\1"}"#, "#", "pattern"),
    Refused(#"{"type":"string","pattern":"\\bword\\b"}"#, "#", "pattern"),
    Refused(#"{"type":"string","pattern":"\\p{L}"}"#, "#", "pattern"),
    Refused(#"{"type":"string","pattern":"(a"}"#, "#", "pattern"),
    Refused(#"{"type":"string","pattern":"a)"}"#, "#", "pattern"),
    Refused(#"{"type":"string","pattern":"[a"}"#, "#", "pattern"),
    Refused(#"{"type":"string","pattern":"[z-a]"}"#, "#", "pattern"),
    Refused(#"{"type":"string","pattern":"*a"}"#, "#", "pattern"),
    Refused(#"{"type":"string","pattern":"a**"}"#, "#", "pattern"),
    Refused(#"{"type":"string","pattern":"a{2,1}"}"#, "#", "pattern"),
    Refused(#"{"type":"string","pattern":"a{"}"#, "#", "pattern"),
    Refused(#"{"type":"string","pattern":"\\"}"#, "#", "pattern"),
    Refused(#"{"type":"string","pattern":"\\u12"}"#, "#", "pattern"),
    Refused(#"{"type":"string","pattern":"\\ud800"}"#, "#", "pattern"),
    Refused(#"{"type":"string","minLength":-1}"#, "#", "minLength"),
    Refused(#"{"type":"string","maxLength":"5"}"#, "#", "maxLength"),
    Refused(#"{"type":"string","maxLength":1000000000000}"#, "#", "maxLength"),
    Refused(#"{"type":"integer","minimum":"0"}"#, "#", "minimum"),
    Refused(#"{"type":"integer","exclusiveMinimum":true}"#, "#", "exclusiveMinimum"),
    Refused(#"{"type":"integer","multipleOf":1001}"#, "#", "multipleOf"),
    Refused(#"{"type":"number","multipleOf":0.3}"#, "#", "multipleOf"),
    Refused(#"{"type":"number","multipleOf":0}"#, "#", "multipleOf"),
    Refused(#"{"type":"integer","minimum":5,"maximum":4}"#, "#", "minimum"),
    Refused(#"{"type":"integer","minimum":1e30}"#, "#", "minimum"),
    Refused(#"{"type":"array","minItems":3,"maxItems":2}"#, "#", "minItems"),
    Refused(#"{"type":"array","items":false,"minItems":1}"#, "#", "minItems"),
    Refused(#"{"type":"array","prefixItems":{}}"#, "#", "prefixItems"),
    Refused(#"{"type":"object","properties":{"a":false},"required":["a"]}"#, "#", "required"),
    Refused(#"{"type":"object","required":"a"}"#, "#", "required"),
    Refused(#"{"type":"object","properties":[]}"#, "#", "properties"),
    Refused(#"{"type":"object","minProperties":2}"#, "#", "minProperties"),
    Refused(#"{"type":"object","properties":{"a":{},"b":{}},"maxProperties":1}"#, "#", "maxProperties"),
    Refused(#"{"type":"object","properties":{"a":{}},"patternProperties":{"b":{}}}"#, "#", "patternProperties"),
    Refused(#"{"type":"object","properties":{"a":{}},"propertyNames":{"maxLength":1}}"#, "#", "propertyNames"),
    Refused(#"{"oneOf":[{"type":"integer"},{"type":"number"}]}"#, "#", "oneOf"),
    Refused(#"{"oneOf":[{"type":"string"},{"const":"a"}]}"#, "#", "oneOf"),
    Refused(#"{"oneOf":[{"properties":{"a":{}}},{"type":"string"}]}"#, "#", "oneOf"),
    Refused(#"{"anyOf":[]}"#, "#", "anyOf"), Refused(#"{"anyOf":{}}"#, "#", "anyOf"),
    Refused(#"{"allOf":[{"type":"integer","multipleOf":2},{"multipleOf":3}]}"#, "#/allOf/1", "multipleOf"),
    Refused(##"{"$ref":"#/$defs/none"}"##, "#", "$ref"), Refused(#"{"$ref":"https://x.y/z"}"#, "#", "$ref"),
    Refused(##"{"$ref":"#anchor"}"##, "#", "$ref"), Refused(#"{"$ref":5}"#, "#", "$ref"),
    Refused(##"{"$ref":"#"}"##, "#", "$ref"),
    Refused(
      ##"{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"anyOf":[{"$ref":"#/$defs/a"}]}}}"##,
      "#/$defs/b/anyOf/0", "$ref"),
    Refused(##"{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}"##, "#", nil),
    Refused(##"{"type":"array","items":{"$ref":"#"},"minItems":1}"##, "#", nil),
    Refused(#"{"type":["integer"],"enum":["a"]}"#, "#", nil), Refused("false", "#", nil), Refused("[]", "#", nil),
    Refused(#"{"allOf":[{"type":"string"},{"type":"null"}]}"#, "#", nil),
    Refused(#"{"type":"object","properties":{"a":5}}"#, "#/properties/a", nil),
    Refused(#"{"type":"object","properties":{"a/b~":{"x":1}}}"#, "#/properties/a~1b~0", "x"),
  ]

  @Test(arguments: cases) func `a schema that cannot be kept names the place and the keyword`(example: Refused) throws {
    let schema = try JSONValue(parsing: example.schema)
    let error = #expect(throws: ConstraintError.self) { try Constraint(documentOf: schema) }
    #expect(error?.pointer == example.pointer, "\(error?.description ?? "")")
    #expect(error?.keyword == example.keyword, "\(error?.description ?? "")")
    #expect(error?.description.contains("\n") == false)
  }

  /// Hostile schemas end in an error, or in an automaton that stays within its bounds.
  static let hostile: [(name: String, schema: String)] = [
    (
      "deep arrays",
      String(repeating: #"{"type":"array","items":"#, count: 100) + "{}" + String(repeating: "}", count: 100)
    ),
    (
      "deep required members",
      String(repeating: #"{"type":"object","required":["a"],"properties":{"a":"#, count: 60) + "{}"
        + String(repeating: "}}", count: 60)
    ),
    ("deep allOf", String(repeating: #"{"allOf":["#, count: 60) + "{}" + String(repeating: "]}", count: 60)),
    (
      "doubling references",
      "{\"$ref\":\"#/$defs/a0\",\"$defs\":{"
        + (0..<40).map {
          "\"a\($0)\":{\"allOf\":[{\"$ref\":\"#/$defs/a\($0 + 1)\"},{\"$ref\":\"#/$defs/a\($0 + 1)\"}]}"
        }.joined(separator: ",") + ",\"a40\":{}}}"
    ),
    (
      "doubling choices",
      "{\"allOf\":["
        + Array(
          repeating: #"{"anyOf":[{"type":"string","minLength":1},{"type":"string","maxLength":9},{"type":"null"}]}"#,
          count: 20
        ).joined(separator: ",") + "]}"
    ),
    (
      "huge bounds",
      #"{"type":"array","items":{"type":"array","items":{"type":"number","minimum":0,"maximum":1},"maxItems":5000},"maxItems":5000}"#
    ),
    ("a long pattern", #"{"type":"string","pattern":"^([a-z]{0,999}[0-9]{0,999}){0,999}$"}"#),
    ("nested repetitions", #"{"type":"string","pattern":"^((((a{1,50}){1,50}){1,50}){1,50})$"}"#),
    (
      "a long pattern with bounds",
      #"{"type":"string","pattern":"^(a|b|c|d|e)*x(a|b){200}$","maxLength":9000,"minLength":8000}"#
    ),
    (
      "deep groups",
      #"{"type":"string","pattern":""# + String(repeating: "(", count: 500) + String(repeating: ")", count: 500) + "\"}"
    ),
    ("too many values", "{\"enum\":[" + (0..<6000).map { "\"value \($0)\"" }.joined(separator: ",") + "]}"),
    ("too many members", "{\"properties\":{" + (0..<6000).map { "\"m\($0)\":{}" }.joined(separator: ",") + "}}"),
    (
      "a long list of values",
      "{\"enum\":[" + (0..<4000).map { "\"\(String(repeating: "x", count: 200))\($0)\"" }.joined(separator: ",") + "]}"
    ),
    (
      "a thousand optional members",
      "{\"type\":\"object\",\"properties\":{"
        + (0..<1000).map { "\"m\($0)\":{\"type\":\"null\"}" }.joined(separator: ",") + "}}"
    ),
    ("an exponential pattern", #"{"type":"string","pattern":"(a|b)*a(a|b){60}$"}"#),
    (
      "recursion in all places",
      ##"{"anyOf":[{"type":"array","items":{"$ref":"#"}},{"type":"object","additionalProperties":{"$ref":"#"}},{"type":"string"}]}"##
    ),
  ]

  @Test(arguments: hostile.map(\.name)) func `a hostile schema is refused or bounded`(name: String) throws {
    let text = try #require(Self.hostile.first { $0.name == name }).schema
    let schema = try JSONValue(parsing: text, depthLimit: 1000)
    guard let constraint = try? Constraint(documentOf: schema) else { return }
    let table = ConstraintTable(constraint, .ofBytes)
    var matcher = ConstraintMatcher(table)
    // The worst that a text can do: one that follows no cycle.
    for index in 0..<3000 {
      guard matcher.allowedTokens().contains(where: { $0 < 256 }), !matcher.hasFailed else { break }
      let choices = matcher.allowedTokens().filter { $0 < 256 }
      guard let next = choices.isEmpty ? nil : choices[(index * 7919) % choices.count], matcher.accept(next) else {
        break
      }
    }
    #expect(table.bytes < 256 << 20)
  }
}
