import ModelJSON
import TestSupport
import Testing

@testable import Server

/// Each wrong request gets the status that says so, names the field, and leaves the server well.
@Suite struct BadRequestTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let fields: JSONValue
    var status = 400
    let parameter: String?

    init(_ fields: JSONValue, _ parameter: String?, status: Int = 400) {
      (self.fields, self.parameter, self.status) = (fields, parameter, status)
    }

    var testDescription: String { fields.text }
  }

  static let chats: [Case] = [
    Case(["temperature": "hot"], "temperature"), Case(["temperature": -1], "temperature"),
    Case(["temperature": 3], "temperature"), Case(["top_p": 2], "top_p"), Case(["max_tokens": -1], "max_tokens"),
    Case(["max_tokens": 1.5], "max_tokens"), Case(["max_tokens": 1e30], "max_tokens"), Case(["n": 0], "n"),
    Case(["n": 1000], "n"), Case(["stop": 5], "stop"), Case(["stop": [1]], "stop"), Case(["seed": 1.5], "seed"),
    Case(["logit_bias": ["x": 1]], "logit_bias"), Case(["logit_bias": ["99999": 1]], "logit_bias"),
    Case(["logit_bias": ["5": 1000]], "logit_bias"), Case(["stream": "yes"], "stream"),
    Case(["stream_options": ["include_usage": true]], "stream_options"),
    Case(["stream": true, "stream_options": ["other": 1]], "stream_options.other"),
    Case(["tools": [["type": "function"]]], "tools[0].function"), Case(["tool_choice": "required"], "tool_choice"),
    Case(["response_format": ["type": "xml"]], "response_format.type"), Case(["logprobs": 1], "logprobs"),
    Case(["top_logprobs": 3], "top_logprobs"), Case(["logprobs": true, "top_logprobs": 21], "top_logprobs"),
    Case(["audio": [:]], "audio"),
    Case(["modalities": ["audio"]], "modalities"),
    Case(["tempreature": 1], "tempreature"), Case(["messages": []], "messages"), Case(["messages": "hi"], "messages"),
    Case(["messages": [["role": "wizard", "content": "x"]]], "messages[0].role"),
    Case(["messages": [["content": "x"]]], "messages[0].role"), Case(["messages": [5]], "messages[0].role"),
    Case(["messages": [["role": "user", "content": 5]]], "messages[0]"),
    Case(
      ["messages": [["role": "user", "content": [["type": "image_url", "image_url": ["url": "x"]]]]]],
      "messages[0].content[0]"),
    Case(["cache": "nothing:1"], "cache"), Case(["cache": "window:9223372036854775807"], "cache"),
    Case(["cache": "window:99999999999999999999999"], "cache"), Case(["cache": "window:0"], "cache"),
    Case(["cache": "duo-attention:16+240[heads=/etc/passwd]"], "cache"), Case(["cache": 5], "cache"),
    Case(["cache": "window:100000000"], "cache"), Case(["session": ""], "session"), Case(["session": 5], "session"),
    Case(["session": "s", "n": 2], "n"), Case(["reasoning_effort": "extreme"], "reasoning_effort"),
    Case(["chat_template_kwargs": ["evil": 1]], "chat_template_kwargs.evil"),
    Case(["model": "gpt-9"], "model", status: 404),
  ]

  @Test func chatFields() async throws {
    try await ServerSubject.run { subject in
      for bad in Self.chats {
        let response = try await subject.chat([user("hi")], bad.fields)
        #expect(response.status == bad.status, "\(bad.fields.text): \(response.body)")
        #expect(response.json["error"]?["param"]?.string == bad.parameter, "\(bad.fields.text): \(response.body)")
        #expect(response.json["error"]?["message"]?.string?.contains("\n") == false)
        #expect(response.json["error"]?["type"]?.string == "invalid_request_error")
      }
      #expect(try await subject.chat([user("hi")]).status == 200)
      #expect(try await subject.metric("requests_running") == 0)
    }
  }

  /// Bodies that are no JSON, or JSON that is hostile.
  static let bodies: [String] = [
    "", "{", "[]", "5", "null", "{\"messages\": [", String(repeating: "[", count: 100_000),
    "{\"messages\":" + String(repeating: "{\"a\":", count: 5000), "{\"messages\": \"\\ud800\"}", "{\"a\":NaN}",
    "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"temperature\":NaN}",
  ]

  @Test func hostileBodies() async throws {
    try await ServerSubject.run { subject in
      for path in ["/v1/chat/completions", "/v1/completions", "/v1/messages", "/tokenize", "/detokenize"] {
        for body in Self.bodies {
          let response = try await subject.client.post(path, body)
          #expect(response.status == 400, "\(path) \(body.prefix(40)): \(response.body)")
        }
      }
    }
  }

  @Test func pathsAndMethods() async throws {
    try await ServerSubject.run { subject in
      let client = subject.client
      #expect(try await client.get("/nothing").status == 404)
      #expect(try await client.get("/v1/models/other").status == 404)
      let wrongMethod = try await client.get("/v1/chat/completions")
      #expect(wrongMethod.status == 405)
      #expect(wrongMethod.fields["allow"] == "POST")
      for (fields, parameter) in [
        (["input": "a", "dimensions": 8], "dimensions"),
        (["input": "a", "encoding_format": "int8"], "encoding_format"),
        (["input": []], "input"), ([:], "input"), (["input": [9_000_000]], "input"), (["input": "a", "n": 2], "n"),
      ] as [(JSONValue, String)] {
        let refused = try await client.post("/v1/embeddings", fields)
        #expect(refused.status == 400 && refused.json["error"]?["param"]?.string == parameter, "\(refused.body)")
      }
      #expect(try await client.send("OPTIONS", "/v1/chat/completions", nil).status == 405)
      #expect(try await client.send("DELETE", "/v1/models/tiny", nil).status == 404)
    }
  }

  @Test func aPromptTooLongForAFullCacheIsToldBefore() async throws {
    try await ServerSubject.run { subject in
      let long = String(repeating: "word ", count: 200)
      for streams in [false, true] {
        let response = try await subject.chat([user(long)], ["cache": "full", "stream": JSONValue(streams)])
        #expect(response.status == 400)
        #expect(response.json["error"]?["code"]?.string == "context_length_exceeded")
      }
      let bounded = try await subject.chat([user(long)])
      #expect(bounded.status == 200)
      #expect(try #require(bounded.json["usage"]?["evicted_tokens"]?.integer) > 0)
      // A large limit does not shrink the prompt, and the answer ends with the trained length.
      let cut = try await subject.chat([user("hi")], ["cache": "full", "max_tokens": 100_000])
      #expect(cut.json.finishReason == "length")
      #expect(cut.json["usage"]?["total_tokens"]?.integer == 128)
    }
  }

  /// Counting refuses what an answer to the same messages would.
  @Test func countedFields() async throws {
    let format: JSONValue = ["type": "json_schema", "schema": ["type": "object"]]
    let cases: [(JSONValue, String)] = [
      (["output_config": ["format": ["type": "xml"]]], "output_config.format.type"),
      (["output_config": ["format": ["type": "text", "other": 1]]], "output_config.format.other"),
      (["output_config": ["format": ["type": "json_schema"]]], "output_config.format.schema"),
      (["output_config": ["format": format, "other": 1]], "output_config.other"),
      (["thinking": ["type": "deep"]], "thinking.type"), (["messages": []], "messages"), (["system": 5], "system"),
      (["other": 1], "other"),
    ]
    try await ServerSubject.run { subject in
      for (fields, parameter) in cases {
        for path in ["/v1/messages", "/v1/messages/count_tokens"] {
          var body: JSONObject = JSONObject()
          (body["model"], body["messages"]) = ("tiny", [user("hi")])
          if path == "/v1/messages" { body["max_tokens"] = 4 }
          for (name, value) in fields.object ?? JSONObject() { body[name] = value }
          let response = try await subject.client.post(path, .object(body))
          #expect(response.status == 400, "\(path) \(fields.text): \(response.body)")
          #expect(response.body.contains(parameter), "\(path) \(fields.text): \(response.body)")
        }
      }
    }
  }

  @Test func completionFields() async throws {
    try await ServerSubject.run { subject in
      let cases: [(JSONValue, String)] = [
        ([:], "prompt"), (["prompt": 5], "prompt"), (["prompt": []], "prompt"), (["prompt": [99999]], "prompt"),
        (["prompt": [-1]], "prompt"), (["prompt": [1.5]], "prompt"), (["prompt": ["a", 1]], "prompt"),
        (["prompt": ""], "prompt"), (["prompt": "a", "suffix": "b"], "suffix"),
        (["prompt": "a", "echo": true], "echo"),
        (["prompt": "a", "best_of": 3], "best_of"), (["prompt": "a", "logprobs": 21], "logprobs"),
      ]
      for (fields, parameter) in cases {
        let response = try await subject.client.post("/v1/completions", fields)
        #expect(response.status == 400, "\(fields.text): \(response.body)")
        #expect(response.json["error"]?["param"]?.string == parameter, "\(fields.text): \(response.body)")
      }
    }
  }
}
