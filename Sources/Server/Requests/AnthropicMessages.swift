import ModelJSON

/// Anthropic's messages in the form of OpenAI's, which templates know.
///
/// Thoughts and calls are blocks of an assistant's message there, results of calls blocks of a user's; here thoughts are a
/// member, calls a list, and results messages of their own.
struct AnthropicMessages {
  private(set) var messages: [JSONValue] = []
  /// Where each of them comes from.
  private(set) var places: [String] = []

  /// - Throws: `RequestError` that names the block.
  init(_ given: [JSONValue]) throws(RequestError) {
    for (index, message) in given.enumerated() {
      let place = "messages[\(index)]"
      guard let role = message["role"]?.string, ["user", "assistant"].contains(role) else {
        throw .bad("\(place).role", "a message must have the role user or assistant")
      }
      guard let blocks = message["content"]?.array else {
        messages.append(message)
        places.append(place)
        continue
      }
      if role == "assistant" { try addAssistant(blocks, at: place) } else { try addUser(blocks, at: place) }
      places += Array(repeating: place, count: messages.count - places.count)
    }
  }

  private mutating func addAssistant(_ blocks: [JSONValue], at place: String) throws(RequestError) {
    var (thoughts, calls, rest) = ([String](), [JSONValue](), [JSONValue]())
    for (index, block) in blocks.enumerated() {
      switch block["type"]?.string {
      case "thinking": thoughts.append(block["thinking"]?.string ?? "")
      case "redacted_thinking": break
      case "tool_use":
        guard let name = block["name"]?.string, let input = block["input"], input.object != nil else {
          throw .bad("\(place).content[\(index)]", "a call must have a name and an object as its input")
        }
        calls.append([
          "id": block["id"] ?? .null, "type": "function", "function": ["name": .string(name), "arguments": input],
        ])
      default: rest.append(block)
      }
    }
    var message = JSONObject()
    message["role"] = "assistant"
    message["content"] = .array(rest)
    if !thoughts.isEmpty { message["reasoning_content"] = .string(thoughts.joined(separator: "\n")) }
    if !calls.isEmpty { message["tool_calls"] = .array(calls) }
    messages.append(.object(message))
  }

  private mutating func addUser(_ blocks: [JSONValue], at place: String) throws(RequestError) {
    var rest: [JSONValue] = []
    for (index, block) in blocks.enumerated() {
      guard block["type"]?.string == "tool_result" else {
        rest.append(block)
        continue
      }
      guard let identifier = block["tool_use_id"]?.string else {
        throw .bad("\(place).content[\(index)].tool_use_id", "a result must name the call that it belongs to")
      }
      var content = block["content"] ?? ""
      if block["is_error"]?.bool == true {
        // No template has a place for this but the text.
        let mark: JSONValue = ["type": "text", "text": "Error:"]
        content = .array([mark] + (content.array ?? [["type": "text", "text": content]]))
      }
      messages.append(["role": "tool", "tool_call_id": .string(identifier), "content": content])
    }
    if !rest.isEmpty || blocks.isEmpty { messages.append(["role": "user", "content": .array(rest)]) }
  }
}
