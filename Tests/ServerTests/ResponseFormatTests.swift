import ModelJSON
import TestSupport
import Testing

@testable import Server

/// `response_format` and `output_config.format`.
@Suite struct ResponseFormatTests {
  private static let schema: JSONValue = [
    "type": "object",
    "properties": ["colour": ["enum": ["red", "green"]], "count": ["type": "integer", "minimum": 1, "maximum": 9]],
    "required": ["colour", "count"], "additionalProperties": false,
  ]

  private static func format(_ schema: JSONValue) -> JSONValue {
    ["type": "json_schema", "json_schema": ["name": "answer", "strict": true, "schema": schema]]
  }

  private func check(_ text: String?) throws {
    let value = try JSONValue(parsing: #require(text))
    #expect(["red", "green"].contains(value["colour"]?.string))
    #expect((1...9).contains(value["count"]?.integer ?? 0))
    #expect(value.object?.count == 2)
  }

  @Test func `an answer keeps to the schema, whole and streamed`() async throws {
    try await ServerSubject.run { subject in
      for seed in 1...8 {
        let fields: JSONValue = [
          "response_format": Self.format(Self.schema), "max_tokens": 200, "temperature": 1, "seed": JSONValue(seed),
        ]
        let whole = try await subject.chat([user("a thing")], fields)
        #expect(whole.status == 200, "\(whole.body)")
        try check(whole.json.content)
        #expect(whole.json.finishReason == "stop")
        var streamed = fields.members
        streamed["stream"] = true
        let stream = try await subject.chat([user("a thing")], .object(streamed))
        let chunks = try stream.events.dropLast().map { try JSONValue(parsing: $0) }
        let text = chunks.compactMap { $0["choices"]?.array?.first?["delta"]?["content"]?.string }.joined()
        #expect(text == whole.json.content)
        #expect(chunks.last?["choices"]?.array?.first?["finish_reason"] == "stop")
      }
    }
  }

  @Test func `several choices, a bias and company of free answers`() async throws {
    try await ServerSubject.run { subject in
      // The bias makes a token likely that the document has no room for.
      let fields: JSONValue = [
        "response_format": Self.format(Self.schema), "max_tokens": 200, "temperature": 1, "n": 3, "seed": 2,
        "logit_bias": ["80": 100, "60": 100],
      ]
      async let free = subject.chat([user("the sea")], ["max_tokens": 60])
      let response = try await subject.chat([user("a thing")], fields)
      for choice in response.json["choices"]?.array ?? [] {
        try check(choice["message"]?["content"]?.string)
        #expect(choice["finish_reason"] == "stop")
      }
      #expect(try await free.json["usage"]?["completion_tokens"]?.integer == 60)
    }
  }

  @Test func `any object`() async throws {
    try await ServerSubject.run { subject in
      let response = try await subject.chat(
        [user("JSON, please")], ["response_format": ["type": "json_object"], "max_tokens": 30, "temperature": 0])
      let text = try #require(response.json.content)
      #expect(text.drop { $0.isWhitespace }.first == "{")
      // What a model without sense begins seldom ends; then it says that it was cut.
      #expect(response.json.finishReason == ((try? JSONValue(parsing: text)) == nil ? "length" : "stop"))
    }
  }

  @Test func `a cut document ends with length`() async throws {
    try await ServerSubject.run { subject in
      let response = try await subject.chat(
        [user("a thing")], ["response_format": Self.format(Self.schema), "max_tokens": 5])
      #expect(response.json.finishReason == "length")
      #expect(response.json["usage"]?["completion_tokens"]?.integer == 5)
    }
  }

  @Test func `a message keeps to the schema`() async throws {
    try await ServerSubject.run { subject in
      let body: JSONValue = [
        "model": "tiny", "max_tokens": 200, "messages": [user("a thing")],
        "output_config": ["format": ["type": "json_schema", "schema": Self.schema]],
      ]
      let response = try await subject.client.post("/v1/messages", body)
      #expect(response.status == 200, "\(response.body)")
      try check(response.json["content"]?.array?.last?["text"]?.string)
      #expect(response.json["stop_reason"] == "end_turn")
    }
  }

  struct Bad: Sendable {
    let format: JSONValue
    let parameter: String
  }

  static let bad: [Bad] = [
    Bad(format: "json_object", parameter: "response_format"),
    Bad(format: [:], parameter: "response_format.type"),
    Bad(format: ["type": "xml"], parameter: "response_format.type"),
    Bad(format: ["type": "grammar", "grammar": "x"], parameter: "response_format.type"),
    Bad(format: ["type": "text", "schema": [:]], parameter: "response_format.schema"),
    Bad(format: ["type": "json_object", "schema": [:]], parameter: "response_format.schema"),
    Bad(format: ["type": "json_schema"], parameter: "response_format.schema"),
    Bad(format: ["type": "json_schema", "json_schema": [:]], parameter: "response_format.json_schema.name"),
    Bad(
      format: ["type": "json_schema", "json_schema": ["name": "a"]], parameter: "response_format.json_schema.schema"),
    Bad(
      format: ["type": "json_schema", "json_schema": ["name": "a", "schema": 5]],
      parameter: "response_format.json_schema.schema"),
    Bad(
      format: ["type": "json_schema", "json_schema": ["name": "", "schema": [:]]],
      parameter: "response_format.json_schema.name"),
    Bad(
      format: ["type": "json_schema", "json_schema": ["name": "a", "schema": [:], "other": 1]],
      parameter: "response_format.json_schema.other"),
    Bad(format: format(["not": [:]]), parameter: "response_format.json_schema.schema"),
    Bad(format: format(["type": "string", "pattern": "(?=x)"]), parameter: "response_format.json_schema.schema"),
    Bad(format: format(["$ref": "#"]), parameter: "response_format.json_schema.schema"),
    Bad(format: format(["type": "array", "uniqueItems": true]), parameter: "response_format.json_schema.schema"),
  ]

  @Test func `what cannot be kept is a 400 that names the field`() async throws {
    try await ServerSubject.run { subject in
      for bad in Self.bad {
        let response = try await subject.chat([user("hi")], ["response_format": bad.format])
        #expect(response.status == 400, "\(bad.format.text): \(response.body)")
        #expect(response.json["error"]?["param"]?.string == bad.parameter, "\(bad.format.text): \(response.body)")
      }
      let place = try await subject.chat(
        [user("hi")],
        ["response_format": Self.format(["type": "object", "properties": ["a": ["type": "array", "contains": true]]])])
      let message = place.json["error"]?["message"]?.string ?? ""
      #expect(message.contains("#/properties/a") && message.contains("contains"), "\(message)")
      #expect(try await subject.chat([user("hi")], ["response_format": ["type": "text"]]).status == 200)
    }
  }
}
