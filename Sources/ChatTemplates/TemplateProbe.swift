import ModelJSON

/// Renders conversations of single words.
struct TemplateProbe {
  let template: ChatTemplate
  let templateTexts: [String: String]
  /// What stands for no tools.
  var noTools = JSONValue.null

  static func message(_ role: String, _ content: String) -> JSONValue {
    ["role": JSONValue(role), "content": JSONValue(content)]
  }

  static let user = message("user", "userword")

  static let tool: JSONValue = [
    "type": "function",
    "function": [
      "name": "toolword", "description": "toolword",
      "parameters": [
        "type": "object", "properties": ["a": ["type": "string", "description": "a"]], "required": ["a"],
      ],
    ],
  ]

  /// What a call gives, as JSON.
  static let arguments = "{\"a\": \"argword\"}"

  /// A user's message, a call, and its result; with a second call, without the result.
  static func calling(
    textArguments: Bool, nullContent: Bool, identifier: String = "abcdef123", isTwice: Bool = false
  ) -> [JSONValue] {
    let call = { (name: String, identifier: String) -> JSONValue in
      let arguments: JSONValue = textArguments ? .string(Self.arguments) : ["a": "argword"]
      return [
        "type": "function", "id": .string(identifier), "function": ["name": .string(name), "arguments": arguments],
      ]
    }
    var calls = [call("toolword", identifier)]
    if isTwice { calls.append(call("otherword", "abcdef124")) }
    let answer: JSONValue = [
      "role": "assistant", "content": nullContent ? .null : "", "reasoning_content": "reasonword",
      "tool_calls": .array(calls),
    ]
    if isTwice { return [user, answer] }
    return [
      user, answer,
      ["role": "tool", "content": "resultword", "tool_call_id": JSONValue(identifier), "name": "toolword"],
    ]
  }

  func text(
    _ messages: [JSONValue], tools: [JSONValue] = [], _ extra: JSONValue = [:], addsPrompt: Bool = true
  ) -> String? {
    let time = TemplateTime(year: 2026, month: 1, day: 1)
    var conversation = TemplateConversation(messages, tools: tools)
    conversation.variables = extra.object ?? JSONObject()
    let values = template.values(of: conversation, messages, addsPrompt: addsPrompt, noTools: noTools, time: time)
    return try? template.render(RenderingVariables(values, templateTexts: templateTexts, time: time)).text
  }

  func shows(_ word: String, _ messages: [JSONValue], tools: [JSONValue] = []) -> Bool {
    guard let text = text(messages, tools: tools) else { return false }
    return text.utf8.split(separator: UInt8(ascii: "\n")).contains { Self.contains($0, word) }
  }

  private static func contains(_ line: Substring.UTF8View, _ word: String) -> Bool {
    let word = Array(word.utf8)
    let line = Array(line)
    guard line.count >= word.count else { return false }
    return (0...(line.count - word.count)).contains { line[$0..<($0 + word.count)].elementsEqual(word) }
  }
}
