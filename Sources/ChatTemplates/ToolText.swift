import ModelJSON

/// Tools, calls and results as text of messages, for what a template does not know of them.
///
/// The format is the one that most models have seen: JSON between `<tool_call>` tags, results between `<tool_response>`.
struct ToolText {
  private let description: String?
  private let writesCalls: Bool
  private let writesResults: Bool

  init(_ traits: TemplateTraits, tools: [JSONValue]) {
    description = tools.isEmpty || traits.acceptsTools ? nil : Self.description(of: tools)
    writesCalls = description != nil || !traits.acceptsToolCalls
    writesResults =
      description != nil || !traits.acceptsToolResults || !(traits.acceptsToolCalls || traits.acceptsTools)
  }

  func applied(to messages: [JSONObject]) -> [JSONObject] {
    var result: [JSONObject] = []
    for message in messages {
      if writesCalls, let calls = message["tool_calls"]?.array {
        result.append(Self.withCallsInContent(message, calls))
      } else if writesResults, message["role"]?.string == "tool" {
        Self.add(message, to: &result)
      } else {
        result.append(message)
      }
    }
    return description.map { Self.describing($0, in: result) } ?? result
  }

  private static func withCallsInContent(_ message: JSONObject, _ calls: [JSONValue]) -> JSONObject {
    var lines: [String] = []
    if let text = message["content"]?.string, !text.isEmpty { lines.append(text) }
    for call in calls {
      let arguments = call["function"]?["arguments"] ?? [:]
      let name = call["function"]?["name"] ?? ""
      lines.append(
        "<tool_call>\n{\"name\": \(name.text), \"arguments\": \(arguments.string ?? arguments.text)}\n</tool_call>")
    }
    var members = JSONObject()
    for (key, value) in message where key != "tool_calls" { members[key] = value }
    members["content"] = .string(lines.joined(separator: "\n"))
    return members
  }

  /// Adds a result to the messages, as a user's; results in a row are one message.
  private static func add(_ message: JSONObject, to messages: inout [JSONObject]) {
    let text = "<tool_response>\n\(message["content"]?.string ?? "")\n</tool_response>"
    if let last = messages.last, last["role"]?.string == "user", let before = last["content"]?.string,
      before.hasPrefix("<tool_response>"), before.hasSuffix("</tool_response>")
    {
      messages[messages.count - 1]["content"] = .string(before + "\n" + text)
      return
    }
    var members = JSONObject()
    members["role"] = "user"
    members["content"] = .string(text)
    messages.append(members)
  }

  private static func describing(_ description: String, in messages: [JSONObject]) -> [JSONObject] {
    var messages = messages
    if let role = messages.first?["role"]?.string, role == "system" || role == "developer" {
      let before = messages[0]["content"]?.string ?? ""
      messages[0]["content"] = .string(before.isEmpty ? description : before + "\n\n" + description)
      return messages
    }
    var system = JSONObject()
    system["role"] = "system"
    system["content"] = .string(description)
    return [system] + messages
  }

  private static func description(of tools: [JSONValue]) -> String {
    """
    # Tools

    These functions can be called. Each line describes one as JSON:
    <tools>
    \(tools.map(\.text).joined(separator: "\n"))
    </tools>

    Where a function helps, answer with a call of it between tags, one pair of tags a call:
    <tool_call>
    {"name": "the function's name", "arguments": {"an argument's name": "its value"}}
    </tool_call>
    What it gives comes back between <tool_response> and </tool_response>.
    """
  }
}
