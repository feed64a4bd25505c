import ChatTemplates
import Constraints
import Engine
import ModelJSON
import TestSupport
import Testing

@testable import Server

/// Calls that must come, in each API: a model of random weights keeps to them, too.
@Suite struct ForcedCallTests {
  private static let unit: JSONValue = ["enum": ["C", "F"]]
  private static let parameters: JSONValue = [
    "type": "object", "properties": ["unit": unit, "rain": ["type": "boolean"]], "required": ["unit", "rain"],
    "additionalProperties": false,
  ]
  private static let empty: JSONValue = ["type": "object", "properties": [:], "additionalProperties": false]
  private static let functions: [(name: String, parameters: JSONValue)] = [("weather", parameters), ("now", empty)]

  private static var chatTools: JSONValue {
    .array(
      functions.map { ["type": "function", "function": ["name": .string($0.name), "parameters": $0.parameters]] })
  }

  private static func isCall(_ name: String?, _ arguments: String?) -> Bool {
    guard let arguments, let json = try? JSONValue(parsing: arguments) else { return false }
    switch name {
    case "weather":
      return json.object?.count == 2 && ["C", "F"].contains(json["unit"]?.string) && json["rain"]?.bool != nil
    case "now": return json.object?.isEmpty ?? false
    default: return false
    }
  }

  /// Templates that write calls in different ways; the first is the one of a model that knows no tools.
  static let templates: [String?] = [
    nil,
    // As Hermes.
    """
    {%- if tools %}{% for tool in tools %}{{ tool | tojson }}{% endfor %}{% endif -%}
    {%- for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + (m.content or '') }}
    {%- for call in m.tool_calls or [] %}{{ '<tool_call>\\n' }}{{ call.function | tojson }}{{ '\\n</tool_call>' }}{% endfor %}
    {{- '<|im_end|>\\n' }}{% endfor -%}
    {%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif -%}
    """,
    // As Mistral, the newer form.
    """
    {%- if tools %}{{ tools | tojson }}{% endif -%}
    {%- for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + (m.content or '') }}
    {%- for call in m.tool_calls or [] %}{{ '[TOOL_CALLS]' + call.function.name + '[ARGS]' + (call.function.arguments | tojson) }}{% endfor %}
    {{- '<|im_end|>\\n' }}{% endfor -%}
    {%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif -%}
    """,
    // As Llama 3: one call, and nothing around it.
    """
    {%- if tools %}{{ tools | tojson }}{% endif -%}
    {%- for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + (m.content or '') }}
    {%- if m.tool_calls %}{% if m.tool_calls | length > 1 %}{{ raise_exception('one call') }}{% endif %}
    {%- set f = m.tool_calls[0].function %}{{ '{"name": "' + f.name + '", "parameters": ' + (f.arguments | tojson) + '}' }}{% endif %}
    {{- '<|im_end|>\\n' }}{% endfor -%}
    {%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif -%}
    """,
    // As Qwen 3.5: arguments are no JSON, and the prompt opens a thought.
    """
    {%- if tools %}{{ tools | tojson }}{% endif -%}
    {%- for m in messages %}{{ '<|im_start|>' + m.role + '\\n' }}
    {%- if m.role == 'assistant' %}{{ '<think>\\n' + (m.reasoning_content or '') + '\\n</think>\\n\\n' }}{% endif %}{{ m.content or '' }}
    {%- for call in m.tool_calls or [] %}{{ '<tool_call>\\n<function=' + call.function.name + '>\\n' }}
    {%- for k, v in call.function.arguments.items() %}{{ '<parameter=' + k + '>\\n' + (v | string) + '\\n</parameter>\\n' }}{% endfor %}{{ '</function>\\n</tool_call>' }}{% endfor %}
    {{- '<|im_end|>\\n' }}{% endfor -%}
    {%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n<think>\\n' }}{% endif -%}
    """,
  ]

  private static func run(_ template: String?, _ body: (ServerSubject) async throws -> Void) async throws {
    // Thoughts of random weights would never end.
    let tiny = TinyModel(trainedLength: 1024)
    guard let template else { return try await ServerSubject.run(tiny, body) }
    try await ServerSubject.run(tiny, template: template, body)
  }

  @Test(arguments: templates.indices)
  func chatsCallWhatTheyMust(_ index: Int) async throws {
    try await Self.run(Self.templates[index]) { subject in
      let thinks = index == 4
      for (choice, names) in [
        ("required", ["weather", "now"]), (["type": "function", "function": ["name": "now"]], ["now"]),
        (["type": "function", "function": ["name": "weather"]], ["weather"]),
        (
          [
            "type": "allowed_tools",
            "allowed_tools": ["mode": "required", "tools": [["type": "function", "function": ["name": "now"]]]],
          ], ["now"]
        ),
      ] as [(JSONValue, [String])] {
        for seed in 1...3 {
          var fields: JSONValue = [
            "tools": Self.chatTools, "tool_choice": choice, "temperature": 1, "seed": JSONValue(seed),
            "parallel_tool_calls": false, "max_tokens": 400,
          ]
          if thinks { fields = Self.with(fields, ["chat_template_kwargs": ["enable_thinking": false]]) }
          let response = try await subject.chat([user("How is it?")], fields)
          let choice = try #require(response.json["choices"]?.array?.first, "\(response.body)")
          if thinks, choice["finish_reason"] == "length" { continue }
          #expect(choice["finish_reason"] == "tool_calls", "\(response.body)")
          let calls = try #require(choice["message"]?["tool_calls"]?.array, "\(response.body)")
          #expect(calls.count == 1 && choice["message"]?["content"] == .null)
          let function = calls[0]["function"]
          #expect(names.contains(function?["name"]?.string ?? ""))
          #expect(Self.isCall(function?["name"]?.string, function?["arguments"]?.string), "\(response.body)")
          #expect(calls[0]["id"]?.string?.hasPrefix("call_") == true && calls[0]["type"] == "function")
        }
      }
    }
  }

  private static func with(_ fields: JSONValue, _ more: JSONValue) -> JSONValue {
    var members = fields.members
    for (name, value) in more.members { members[name] = value }
    return .object(members)
  }

  @Test func callsAreStreamedByIndex() async throws {
    try await ServerSubject.run(TinyModel(trainedLength: 512)) { subject in
      let response = try await subject.chat(
        [user("How is it?")],
        [
          "tools": Self.chatTools, "tool_choice": ["type": "function", "function": ["name": "weather"]],
          "stream": true, "max_tokens": 300,
        ])
      let chunks = try response.events.dropLast().map { try JSONValue(parsing: $0) }
      let deltas = chunks.compactMap { $0["choices"]?.array?.first?["delta"]?["tool_calls"]?.array }
      #expect(deltas.allSatisfy { $0.count == 1 && $0[0]["index"] == 0 })
      let first = try #require(deltas.first?.first)
      #expect(
        first["function"]?["name"] == "weather" && first["function"]?["arguments"] == "" && first["type"] == "function")
      #expect(deltas.dropFirst().allSatisfy { $0[0]["id"] == nil && $0[0]["function"]?["name"] == nil })
      let arguments = deltas.compactMap { $0[0]["function"]?["arguments"]?.string }.joined()
      #expect(Self.isCall("weather", arguments), "\(response.body)")
      let reasons = chunks.compactMap { $0["choices"]?.array?.first?["finish_reason"]?.string }
      #expect(reasons == ["tool_calls"])
    }
  }

  @Test func messagesAndResponsesCallToo() async throws {
    try await ServerSubject.run(TinyModel(trainedLength: 512)) { subject in
      let tools = JSONValue.array(
        Self.functions.map { ["name": .string($0.name), "input_schema": $0.parameters] })
      for streams in [false, true] {
        let message = try await subject.client.post(
          "/v1/messages",
          [
            "model": "tiny", "max_tokens": 300, "temperature": 0, "messages": [user("How?")], "tools": tools,
            "tool_choice": ["type": "tool", "name": "weather"], "stream": JSONValue(streams),
          ])
        if streams {
          let events = try message.events.map { try JSONValue(parsing: $0) }
          let start = events.first { $0["content_block"]?["type"] == "tool_use" }?["content_block"]
          #expect(start?["name"] == "weather" && start?["input"] == [:], "\(message.body)")
          let arguments = events.compactMap { $0["delta"]?["partial_json"]?.string }.joined()
          #expect(Self.isCall("weather", arguments))
          #expect(events.dropLast().last?["delta"]?["stop_reason"] == "tool_use")
        } else {
          let block = try #require(message.json["content"]?.array?.last, "\(message.body)")
          #expect(block["type"] == "tool_use" && block["id"]?.string?.hasPrefix("toolu_") == true)
          #expect(Self.isCall(block["name"]?.string, block["input"]?.text))
          #expect(message.json["stop_reason"] == "tool_use")
        }
        let flat = JSONValue.array(
          Self.functions.map { ["type": "function", "name": .string($0.name), "parameters": $0.parameters] })
        let response = try await subject.client.post(
          "/v1/responses",
          [
            "model": "tiny", "max_output_tokens": 300, "temperature": 0, "input": "How?", "tools": flat,
            "tool_choice": ["type": "function", "name": "weather"], "stream": JSONValue(streams),
          ])
        if streams {
          let events = try response.events.map { try JSONValue(parsing: $0) }
          #expect(
            events.compactMap { $0["type"]?.string }.filter { !$0.hasSuffix(".delta") } == [
              "response.created", "response.in_progress", "response.output_item.added",
              "response.function_call_arguments.done", "response.output_item.done", "response.completed",
            ], "\(response.body)")
          let arguments = events.filter { $0["type"] == "response.function_call_arguments.delta" }
            .compactMap { $0["delta"]?.string }.joined()
          #expect(Self.isCall("weather", arguments))
        } else {
          let item = try #require(response.json["output"]?.array?.last, "\(response.body)")
          #expect(item["type"] == "function_call" && response.json["status"] == "completed")
          #expect(Self.isCall(item["name"]?.string, item["arguments"]?.string))
        }
      }
    }
  }

  /// A format and tools that may be called: the answer is one or the other.
  @Test func anAnswerIsOfTheFormatOrACall() async throws {
    try await ServerSubject.run(TinyModel(trainedLength: 512)) { subject in
      for seed in 1...6 {
        let response = try await subject.chat(
          [user("How is it?")],
          [
            "tools": Self.chatTools, "temperature": 1.5, "seed": JSONValue(seed), "max_tokens": 300,
            "parallel_tool_calls": false,
            "response_format": [
              "type": "json_schema", "json_schema": ["name": "unit", "schema": Self.unit],
            ],
          ])
        let message = try #require(response.json["choices"]?.array?.first?["message"], "\(response.body)")
        if let call = message["tool_calls"]?.array?.first?["function"] {
          #expect(Self.isCall(call["name"]?.string, call["arguments"]?.string), "\(response.body)")
        } else {
          let text = try #require(message["content"]?.string)
          #expect(["C", "F"].contains(try JSONValue(parsing: text).string), "\(response.body)")
        }
      }
    }
  }

  @Test func aCallThatIsCutEndsWithLength() async throws {
    try await ServerSubject.run { subject in
      let json = try await subject.chat(
        [user("How?")], ["tools": Self.chatTools, "tool_choice": "required", "max_tokens": 5]
      ).json
      #expect(json.finishReason == "length" && json.content?.hasPrefix("<tool") == true)
    }
  }
}
