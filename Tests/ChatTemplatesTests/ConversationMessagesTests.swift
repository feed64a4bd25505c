import ModelJSON
import TestSupport
import Testing

@testable import ChatTemplates

/// What is made of messages before a template sees them.
@Suite struct ConversationMessagesTests {
  private static func template(_ name: String) throws -> (ChatTemplate, TemplateTraits) {
    let template = try ChatTemplate(try #require(GoldenTemplates.source(name)), name: name)
    return (template, TemplateTraits(of: template, templateTexts: tokens))
  }

  private static let tokens = ["bos_token": "<s>", "eos_token": "</s>"]

  private func prompt(
    _ name: String, _ messages: [JSONValue], tools: [JSONValue] = [], ending: TemplateConversation.Ending = .answer
  ) throws -> String {
    let (template, traits) = try Self.template(name)
    let conversation = TemplateConversation(messages, tools: tools, ending: ending)
    return try template.prompt(
      for: conversation, traits: traits, templateTexts: Self.tokens, time: GoldenTemplates.time
    ).text
  }

  private func message(_ role: String, _ content: JSONValue) -> JSONValue {
    ["role": JSONValue(role), "content": content]
  }

  private func call(_ arguments: JSONValue, id: String = "call_0123456789") -> JSONValue {
    [
      "role": "assistant", "content": .null,
      "tool_calls": [["id": JSONValue(id), "function": ["name": "f", "arguments": arguments]]],
    ]
  }

  @Test func `arguments as text become an object`() throws {
    let text = try prompt("qwen3", [message("user", "a"), call("{\"b\": [1, 2.5, \"é\"]}")])
    #expect(text.contains("{\"name\": \"f\", \"arguments\": {\"b\": [1, 2.5, \"é\"]}}"))
    #expect(try prompt("qwen3", [message("user", "a"), call("")]).contains("\"arguments\": {}}"))
    #expect(try prompt("qwen3", [message("user", "a"), call(.null)]).contains("\"arguments\": {}}"))
  }

  @Test(
    arguments: [
      ("{\"b\": ", "messages[1].tool_calls[0]: the arguments of 'f' are no JSON: line 1, column 7: expected a value"),
      ("[1]", "messages[1].tool_calls[0]: the arguments of 'f' must be an object, not an array"),
      (3, "messages[1].tool_calls[0]: the arguments of 'f' must be an object, not an integer"),
    ] as [(JSONValue, String)])
  func `broken arguments are named`(arguments: JSONValue, description: String) throws {
    #expect {
      try prompt("qwen3", [message("user", "a"), call(arguments)])
    } throws: { error in
      (error as? TemplateError)?.kind == .messages && "\(error)" == description
    }
  }

  @Test(
    arguments: [
      ("text", "messages[0]: a message must be an object, not a string"),
      (["content": "a"], "messages[0]: a message must have a role"),
      (["role": "user", "content": 1], "messages[0]: content must be text or a list of parts, not an integer"),
      (
        ["role": "user", "content": [["type": "image_url", "image_url": "x"]]],
        "messages[0].content[0]: only parts of text can be read, not one that is of type 'image_url'"
      ), (["role": "assistant", "tool_calls": "x"], "messages[0]: tool_calls must be a list, not a string"),
      (
        ["role": "assistant", "tool_calls": [1]], "messages[0].tool_calls[0]: a call must be an object, not an integer"
      ),
      (["role": "assistant", "tool_calls": [[:]]], "messages[0].tool_calls[0]: a call must have a function"),
      (
        ["role": "assistant", "tool_calls": [["function": [:]]]],
        "messages[0].tool_calls[0]: a call must have the name of a function"
      ),
    ] as [(JSONValue, String)])
  func `what is no message is named`(message: JSONValue, description: String) throws {
    #expect { try prompt("qwen3", [message]) } throws: { "\($0)" == description }
  }

  @Test func `parts become one text`() throws {
    let parts: JSONValue = [["type": "text", "text": "one"], ["type": "text", "text": "two"], "three"]
    #expect(try prompt("qwen3", [message("user", parts)]).contains("<|im_start|>user\none\ntwo\nthree<|im_end|>"))
  }

  @Test func `a later system message joins the first one of a strict template`() throws {
    let later = [message("user", "a"), message("assistant", "b"), message("system", "later"), message("user", "c")]
    #expect(try prompt("qwen3.5", later).hasPrefix("<|im_start|>system\nlater<|im_end|>\n<|im_start|>user\na"))
    let both = [message("system", "first")] + later
    #expect(try prompt("qwen3.5", both).hasPrefix("<|im_start|>system\nfirst\n\nlater<|im_end|>\n"))
    // Where the template writes it, it stays in its place.
    #expect(
      try prompt("qwen3", later).contains("b<|im_end|>\n<|im_start|>system\nlater<|im_end|>\n<|im_start|>user\nc"))
  }

  @Test func `a developer is a system to those who do not know it`() throws {
    #expect(
      try prompt("qwen3", [message("developer", "x"), message("user", "a")]).hasPrefix(
        "<|im_start|>system\nx<|im_end|>"))
    #expect(try prompt("gpt-oss", [message("developer", "x"), message("user", "a")]).contains("# Instructions\n\nx"))
  }

  @Test func `messages of one role in a row join where turns must alternate`() throws {
    let text = try prompt("gemma3", [message("system", "s"), message("user", "a"), message("user", "b")])
    #expect(text == "<s><start_of_turn>user\ns\n\na\n\nb<end_of_turn>\n<start_of_turn>model\n")
  }

  @Test func `an answer goes on`() throws {
    let messages = [message("user", "a"), message("assistant", "It is")]
    let text = try prompt("qwen3", messages, ending: .continuation)
    // As the template writes an answer that nobody thought about.
    #expect(text == "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\nIt is")
    let spaced = [message("user", "a"), message("assistant", "It is ")]
    #expect(try prompt("gemma3", spaced, ending: .continuation).hasSuffix("<start_of_turn>model\nIt is "))
    #expect(
      try prompt("gpt-oss", messages, ending: .continuation).hasSuffix(
        "<|start|>assistant<|channel|>final<|message|>It is"))
    #expect { try prompt("qwen3", [message("user", "a")], ending: .continuation) } throws: {
      ($0 as? TemplateError)?.kind == .messages
    }
    #expect(try prompt("gemma3", messages, ending: .none).hasSuffix("It is<end_of_turn>\n"))
  }

  /// A template that refuses an assistant's last message goes on with it.
  @Test func `an answer at the end is no error`() throws {
    let source = """
      {%- for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}
      {%- if messages[-1].role != 'user' %}{{ raise_exception('the last message must be a user\\'s') }}{% endif %}
      {%- if add_generation_prompt %}assistant:{% endif %}
      """
    let template = try ChatTemplate(source)
    let conversation = TemplateConversation([message("user", "a"), message("assistant", "b")])
    let spans = try template.prompt(for: conversation, traits: TemplateTraits(of: template))
    #expect(spans.text == "user:a;assistant:b")
    #expect(spans.last == TemplateSpan("b", isContent: true))
  }

  @Test func `tools without a system message`() throws {
    let tool: JSONValue = ["type": "function", "function": ["name": "f"]]
    #expect(
      try prompt("phi-4-mini", [message("user", "a")], tools: [tool]).contains("<|tool|>[{\"name\": \"f\"}]<|/tool|>"))
  }

  @Test(.enabled(if: Assets.available, Comment(rawValue: Assets.missing)))
  func `templates of the assets with needs of their own`() throws {
    let called = [
      message("user", "a"), call(["b": 1]), ["role": "tool", "content": "r", "tool_call_id": "call_0123456789"],
    ]
    // Arguments as text, and only beside null.
    let deepSeek = try prompt("deepseek-ai-DeepSeek-R1-Distill-Llama-8B", called)
    #expect(deepSeek.contains("```json\n{\"b\": 1}\n```"))
    // Identifiers of nine characters.
    let nemo = try prompt("mistralai-Mistral-Nemo-Instruct-2407", called)
    #expect(nemo.contains("\"id\": \"000000000\"") && nemo.contains("\"call_id\": \"000000000\""))
    // No system message at all.
    let gemma = try prompt("google-gemma-2-2b-it", [message("system", "s"), message("user", "a")])
    #expect(gemma == "<s><start_of_turn>user\ns\n\na<end_of_turn>\n<start_of_turn>model\n")
    // A list of tools, if an empty one.
    #expect(
      try prompt("NousResearch-Hermes-3-Llama-3.1-8B-tool_use", [message("user", "a")]).contains("<tools>  </tools>"))
    // Tools and the day as text.
    let fire = try prompt("fireworks-ai-llama-3-firefunction-v2", [message("user", "a")])
    #expect(fire.contains("Today is Nov 29 2026."))
  }
}
