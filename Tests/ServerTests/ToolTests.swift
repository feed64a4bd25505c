import ChatTemplates
import Engine
import ModelJSON
import TestSupport
import Testing

@testable import Server

/// Tools on their way into a prompt: what requests may say of them, and what the template makes of it.
@Suite struct ToolTests {
  static let weather: JSONValue = [
    "type": "function",
    "function": [
      "name": "weather", "description": "Tells the weather", "strict": true,
      "parameters": ["type": "object", "properties": ["city": ["type": "string"]], "required": ["city"]],
    ],
  ]

  static let history: [JSONValue] = [
    user("How is it in Köln?"),
    [
      "role": "assistant", "content": .null,
      "tool_calls": [
        ["id": "call_1", "type": "function", "function": ["name": "weather", "arguments": "{\"city\": \"Köln\"}"]],
        ["id": "call_2", "type": "function", "function": ["name": "now", "arguments": ""]],
      ],
    ],
    ["role": "tool", "tool_call_id": "call_1", "content": "rain"],
    ["role": "tool", "tool_call_id": "call_2", "content": [["type": "text", "text": "noon"]]],
    user("And now?"),
  ]

  private func prompt(_ subject: ServerSubject, _ fields: JSONValue) async throws -> String {
    let response = try await subject.client.post("/apply-template", fields)
    return try #require(response.json["prompt"]?.string, "\(response.body)")
  }

  @Test func aTemplateThatKnowsNoToolsGetsOurText() async throws {
    try await ServerSubject.run { subject in
      let text = try await prompt(
        subject,
        [
          "messages": .array([["role": "system", "content": "Be brief."]] + Self.history), "tools": [Self.weather],
        ])
      #expect(text.hasPrefix("<|im_start|>system\nBe brief.\n\n# Tools\n"))
      #expect(text.contains("\"name\": \"weather\"") && text.contains("\"description\": \"Tells the weather\""))
      #expect(!text.contains("strict"))
      #expect(
        text.contains(
          "<|im_start|>assistant\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Köln\"}}\n</tool_call>\n"
            + "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call><|im_end|>\n"))
      #expect(
        text.contains(
          "<|im_start|>user\n<tool_response>\nrain\n</tool_response>\n<tool_response>\nnoon\n</tool_response><|im_end|>\n"
        ))
      let without = try await prompt(
        subject, ["messages": .array(Self.history), "tools": [Self.weather], "tool_choice": "none"])
      #expect(!without.contains("# Tools") && without.contains("<tool_response>\nrain"))
      let allowed = try await prompt(
        subject,
        [
          "messages": [user("How is it?")],
          "tools": [Self.weather, ["type": "function", "function": ["name": "search"]]],
          "tool_choice": [
            "type": "allowed_tools",
            "allowed_tools": ["mode": "auto", "tools": [["type": "function", "function": ["name": "search"]]]],
          ],
        ])
      #expect(allowed.contains("\"name\": \"search\"") && !allowed.contains("\"name\": \"weather\""))
    }
  }

  @Test func anAnswerWithToolsIsAnAnswer() async throws {
    try await ServerSubject.run { subject in
      for streams in [false, true] {
        let response = try await subject.chat(
          Self.history, ["tools": [Self.weather], "parallel_tool_calls": false, "stream": JSONValue(streams)])
        #expect(response.status == 200, "\(response.body)")
        #expect(response.body.contains("\"finish_reason\": \"length\""))
        #expect(!response.body.contains("tool_calls"))
      }
    }
  }

  @Test func anthropicsBlocksAreTheSameConversation() async throws {
    try await ServerSubject.run { subject in
      let chat = try await subject.chat(Self.history, ["tools": [Self.weather]])
      let blocks: [JSONValue] = [
        user("How is it in Köln?"),
        [
          "role": "assistant",
          "content": [
            ["type": "tool_use", "id": "toolu_1", "name": "weather", "input": ["city": "Köln"]],
            ["type": "tool_use", "id": "toolu_2", "name": "now", "input": [:]],
          ],
        ],
        [
          "role": "user",
          "content": [
            ["type": "tool_result", "tool_use_id": "toolu_1", "content": "rain"],
            ["type": "tool_result", "tool_use_id": "toolu_2", "content": [["type": "text", "text": "noon"]]],
            ["type": "text", "text": "And now?"],
          ],
        ],
      ]
      let function = try #require(Self.weather["function"])
      let tool: JSONValue = [
        "name": "weather", "description": "Tells the weather",
        "input_schema": function["parameters"] ?? .null, "cache_control": ["type": "ephemeral"],
      ]
      let counted = try await subject.client.post(
        "/v1/messages/count_tokens", ["model": "tiny", "messages": .array(blocks), "tools": [tool]])
      #expect(counted.json["input_tokens"]?.integer == chat.json["usage"]?["prompt_tokens"]?.integer, "\(counted.body)")
      let answered = try await subject.client.post(
        "/v1/messages",
        [
          "model": "tiny", "messages": .array(blocks), "tools": [tool], "max_tokens": 8, "temperature": 0,
          "tool_choice": ["type": "auto", "disable_parallel_tool_use": true],
        ])
      #expect(answered.json["content"]?.array?.first?["text"]?.string == chat.json.content, "\(answered.body)")
    }
  }

  @Test func placesAreThoseOfTheRequest() async throws {
    try await ServerSubject.run { subject in
      let image: JSONValue = ["role": "user", "content": [["type": "text", "text": "a"], ["type": "image"]]]
      let message = try await subject.client.post(
        "/v1/messages",
        ["model": "tiny", "max_tokens": 4, "system": "Be brief.", "messages": [user("a"), image]])
      #expect(message.status == 400)
      #expect(message.json["error"]?["message"]?.string?.contains("messages[1]: ") == true, "\(message.body)")
      let call: JSONValue = ["type": "function_call", "call_id": "1", "name": "f", "arguments": "{"]
      let response = try await subject.client.post(
        "/v1/responses",
        ["model": "tiny", "instructions": "Be brief.", "input": [user("a"), call, user("b")]])
      #expect(response.status == 400)
      #expect(response.json["error"]?["param"] == "input[1]", "\(response.body)")
    }
  }

  @Test func aResultThatIsAnErrorSaysSo() throws {
    let given: [JSONValue] = [
      [
        "role": "user",
        "content": [["type": "tool_result", "tool_use_id": "a", "content": "gone", "is_error": true]],
      ]
    ]
    let message = try #require(try AnthropicMessages(given).messages.first)
    #expect(message["content"]?.array?.compactMap { $0["text"]?.string } == ["Error:", "gone"])
    #expect(throws: RequestError.self) {
      try AnthropicMessages([["role": "user", "content": [["type": "tool_result", "content": "x"]]]])
    }
    #expect(throws: RequestError.self) {
      try AnthropicMessages([["role": "assistant", "content": [["type": "tool_use", "name": "x", "input": "y"]]]])
    }
  }

  @Test(
    arguments: [
      (["tools": [["type": "web_search"]]], "tools[0].type"),
      (["tools": [["type": "custom", "custom": [:]]]], "tools[0].type"),
      (["tools": [["type": "function", "function": [:]]]], "tools[0].function.name"),
      (["tools": [["type": "function", "function": ["name": "a b"]]]], "tools[0].function.name"),
      (["tools": [["type": "function", "function": ["name": "a", "parameters": 5]]]], "tools[0].function.parameters"),
      (["tools": [["type": "function", "function": ["name": "a", "more": 5]]]], "tools[0].function.more"),
      (
        [
          "tools": [["type": "function", "function": ["name": "a"]], ["type": "function", "function": ["name": "a"]]]
        ], "tools[1].function.name"
      ),
      (["tools": "all"], "tools"), (["tools": [5]], "tools[0]"), (["tool_choice": "sometimes"], "tool_choice"),
      (["tool_choice": ["type": "function", "function": ["name": "other"]]], "tool_choice"),
      (["tool_choice": ["type": "custom"]], "tool_choice.type"), (["tool_choice": "required"], "tool_choice"),
      (["tool_choice": ["type": "allowed_tools"]], "tool_choice.allowed_tools"),
      (
        ["tool_choice": ["type": "allowed_tools", "allowed_tools": ["mode": "some"]]], "tool_choice.allowed_tools.mode"
      ),
      (
        ["tool_choice": ["type": "allowed_tools", "allowed_tools": ["mode": "auto"]]], "tool_choice.allowed_tools.tools"
      ),
      (
        [
          "tools": [["type": "function", "function": ["name": "a"]]],
          "tool_choice": [
            "type": "allowed_tools",
            "allowed_tools": ["mode": "auto", "tools": [["type": "function", "function": ["name": "b"]]]],
          ],
        ], "tool_choice.allowed_tools.tools[0]"
      ),
      (
        [
          "tools": [["type": "function", "function": ["name": "a"]]],
          "tool_choice": ["type": "function", "function": ["name": "a", "more": 1]],
        ], "tool_choice.function.more"
      ),
      (
        [
          "tools": [
            ["type": "function", "function": ["name": "a"]],
            [
              "type": "function",
              "function": ["name": "b", "parameters": ["type": "object", "not": ["type": "null"]]],
            ],
          ], "tool_choice": "required",
        ], "tools"
      ),
      (
        [
          "tools": [["type": "function", "function": ["name": "a"]]], "tool_choice": "required",
          "messages": [["role": "user", "content": "a"], ["role": "assistant", "content": "b"]],
        ], "messages"
      ), (["parallel_tool_calls": 1], "parallel_tool_calls"),
      (["functions": [["name": "a"]]], "functions"),
      (
        [
          "messages": [
            ["role": "user", "content": "a"],
            [
              "role": "assistant",
              "tool_calls": [["id": "1", "type": "function", "function": ["name": "a", "arguments": "{"]]],
            ],
          ], "tool_call_id": nil,
        ], "messages[1]"
      ),
      (
        [
          "messages": [
            ["role": "user", "content": "a"],
            [
              "role": "assistant",
              "tool_calls": [["id": "1", "type": "function", "function": ["name": "a", "arguments": "{"]]],
            ], ["role": "tool", "tool_call_id": "1", "content": "x"],
          ]
        ], "messages[1].tool_calls[0]"
      ),
    ] as [(JSONValue, String)])
  func whatIsRefused(_ fields: JSONValue, _ parameter: String) async throws {
    try await ServerSubject.run { subject in
      let response = try await subject.chat([user("hi")], fields)
      #expect(response.status == 400, "\(response.body)")
      #expect(response.json["error"]?["param"]?.string == parameter, "\(response.body)")
    }
  }

  @Test(
    arguments: [
      (["tools": [["type": "bash_20250124", "name": "bash"]]], "tools[0].type"),
      (["tools": [["name": "x"]]], "tools[0].input_schema"),
      (["tools": [["name": "x", "input_schema": [:], "other": 1]]], "tools[0].other"),
      (["tool_choice": ["type": "tool", "name": "x"]], "tool_choice"),
      (["tool_choice": ["type": "any"]], "tool_choice"),
      (["tool_choice": ["type": "some"]], "tool_choice.type"), (["tool_choice": ["type": "tool"]], "tool_choice.name"),
    ] as [(JSONValue, String)])
  func whatAnthropicsRouteRefuses(_ fields: JSONValue, _ parameter: String) async throws {
    try await ServerSubject.run { subject in
      var members: JSONObject = JSONObject()
      for (name, value) in [("model", "tiny"), ("max_tokens", 4), ("messages", [user("hi")])] as [(String, JSONValue)] {
        members[name] = value
      }
      for (name, value) in fields.members { members[name] = value }
      let response = try await subject.client.post("/v1/messages", .object(members))
      #expect(response.status == 400, "\(response.body)")
      #expect(response.json["error"]?["message"]?.string?.contains(parameter) == true, "\(response.body)")
    }
  }
}
