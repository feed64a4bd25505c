import ChatTemplates
import Foundation
import ModelJSON
import TestSupport
import Testing

@testable import Engine

/// Which format a template speaks, and that its own writing of calls is read back.
@Suite struct ToolCallFormatTests {
  private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../ChatTemplatesTests/Templates").path

  static let own: [(name: String, format: String)] = [
    ("qwen3", "tagged"), ("qwen3.5", "functions"), ("gemma3", "tagged"), ("gemma4", "gemma"), ("gpt-oss", "channels"),
    ("phi-4-mini", "functools"), ("ministral3", "mistral"), ("granite4", "tagged"), ("smollm3", "tagged"),
    ("lfm2", "python"),
  ]

  static let assets: [(name: String, format: String)] = [
    ("CohereForAI-c4ai-command-r-plus-tool_use", "action-list"),
    ("CohereForAI-c4ai-command-r7b-12-2024-tool_use", "actions"),
    ("NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use", "tagged"),
    ("NousResearch-Hermes-3-Llama-3.1-8B-tool_use", "tagged"), ("Qwen-Qwen2.5-7B-Instruct", "tagged"),
    ("deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "tagged"), ("fireworks-ai-llama-3-firefunction-v2", "functools"),
    ("google-gemma-2-2b-it", "tagged"), ("meetkai-functionary-medium-v3.1", "functions"),
    ("meetkai-functionary-medium-v3.2", "recipients"), ("meta-llama-Llama-3.1-8B-Instruct", "bare"),
    ("meta-llama-Llama-3.2-3B-Instruct", "bare"), ("meta-llama-Llama-3.3-70B-Instruct", "bare"),
    ("microsoft-Phi-3.5-mini-instruct", "tagged"), ("mistralai-Mistral-Nemo-Instruct-2407", "mistral"),
  ]

  private static let texts = ["bos_token": "<s>", "eos_token": "</s>"]

  private static func template(_ name: String) throws -> ChatTemplate {
    let path =
      FileManager.default.fileExists(atPath: "\(folder)/\(name).jinja")
      ? "\(folder)/\(name).jinja" : Assets.path("chat-templates/\(name).jinja")
    return try ChatTemplate(String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self), name: name)
  }

  private static func tool(_ name: String) -> JSONValue {
    [
      "type": "function",
      "function": [
        "name": .string(name), "description": "Tells the weather",
        "parameters": [
          "type": "object",
          "properties": [
            "city": ["type": "string", "description": "Where"], "days": ["type": "integer", "description": "How long"],
          ], "required": ["city"],
        ],
      ],
    ]
  }

  private static func messages(_ calls: Int) -> [JSONValue] {
    let names = ["weather", "forecast"]
    let identifiers = ["call_one", "call_two"]
    let list = (0..<calls).map { index -> JSONValue in
      [
        "id": .string(identifiers[index]), "type": "function",
        "function": ["name": .string(names[index]), "arguments": "{\"city\": \"Köln \\\"x\\\"\", \"days\": 2}"],
      ]
    }
    let results = (0..<calls).map { index -> JSONValue in
      ["role": "tool", "tool_call_id": .string(identifiers[index]), "content": .string("result\(index)")]
    }
    return [
      ["role": "user", "content": "userword"], ["role": "assistant", "content": .null, "tool_calls": .array(list)],
    ]
      + results
  }

  private static func check(_ name: String, _ format: String) throws {
    let template = try template(name)
    let traits = TemplateTraits(of: template, templateTexts: texts)
    let found = ToolCallFormat(template, traits)
    #expect(found.name == format, "\(name)")
    let tools = [tool("weather"), tool("forecast")]
    let render = { (messages: [JSONValue], ending: TemplateConversation.Ending) in
      try template.prompt(
        for: TemplateConversation(messages, tools: tools, ending: ending), traits: traits, templateTexts: texts,
        time: TemplateTime("2026-11-30")
      ).text
    }
    // The prompt says what the tools are.
    let prompt = try render([["role": "user", "content": "userword"]], .answer)
    #expect(prompt.contains("weather") && prompt.contains("Where") && prompt.contains("forecast"), "\(name)")
    for calls in [1, 2] {
      // Calls and results all show in the history.
      let whole = try render(Self.messages(calls), .answer)
      for index in 0..<calls {
        #expect(whole.contains("result\(index)"), "\(name) lacks result \(index)")
      }
      // What the template writes of calls is read as what they were.
      let written = try render(Array(Self.messages(calls).prefix(2)), .none)
      let start = try #require(written.range(of: "userword")).upperBound
      var rest = String(written[start...])
      if format == "channels" {
        rest = String(rest[try #require(rest.range(of: "<|start|>assistant")).upperBound...])
      } else if format == "bare" {
        rest = String(rest[try #require(rest.range(of: "{\"name\"")).lowerBound...])
        // Calls of their own messages are answers of their own.
        if calls == 2 { continue }
      }
      var reader = AnswerReader(
        AnswerFormat(template), continuesAnswer: format != "channels",
        calls: ToolCallReader(found, tools: ToolSignatures(tools)))
      let parts = reader.append(rest) + reader.finish()
      let read = parts.compactMap { if case .call(let call) = $0 { call } else { nil } }
      #expect(read.map(\.name) == Array(["weather", "forecast"].prefix(calls)), "\(name) wrote \(rest)")
      for call in read {
        #expect(try JSONValue(parsing: call.arguments) == ["city": "Köln \"x\"", "days": 2], "\(name)")
      }
    }
  }

  @Test(arguments: own)
  func `our own templates write what is read`(name: String, format: String) throws { try Self.check(name, format) }

  @Test(.enabled(if: Assets.available, Comment(rawValue: Assets.missing)), arguments: assets)
  func `templates of the assets write what is read`(name: String, format: String) throws {
    try Self.check(name, format)
  }
}
