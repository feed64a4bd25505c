import ModelJSON

/// The items of a `/v1/responses` request as messages of OpenAI's chat API, which templates know.
///
/// What an assistant thought, said and called are items of their own there; here they are one message until a result or
/// someone else's message comes.
struct ResponseInput {
  private(set) var messages: [JSONValue] = []
  /// Which item each of them begins with.
  private(set) var places: [String] = []

  /// - Throws: `RequestError` that names the item.
  init(_ input: JSONValue) throws(RequestError) {
    if let text = input.string {
      (messages, places) = ([["role": "user", "content": .string(text)]], ["input"])
      return
    }
    guard let items = input.array, !items.isEmpty else {
      throw .bad("input", "'input' must be a string or an array with at least one item")
    }
    for (index, item) in items.enumerated() {
      try add(item, at: "input[\(index)]")
      places += Array(repeating: "input[\(index)]", count: messages.count - places.count)
    }
  }

  private mutating func add(_ item: JSONValue, at place: String) throws(RequestError) {
    guard item.object != nil else { throw .bad(place, "an item must be an object, not \(item.kind)") }
    let kind = item["type"].flatMap { $0.isNull ? nil : $0 } ?? "message"
    switch kind.string ?? kind.kind {
    case "message": try addMessage(item, at: place)
    case "function_call":
      guard let identifier = item["call_id"]?.string, let name = item["name"]?.string,
        let arguments = item["arguments"]?.string
      else { throw .bad(place, "a function_call must have a call_id, a name and arguments as text") }
      let call: JSONValue = [
        "id": .string(identifier), "type": "function",
        "function": ["name": .string(name), "arguments": .string(arguments)],
      ]
      changeAnswer { $0["tool_calls"] = .array(($0["tool_calls"]?.array ?? []) + [call]) }
    case "function_call_output":
      guard let identifier = item["call_id"]?.string, let output = item["output"] else {
        throw .bad(place, "a function_call_output must have a call_id and an output")
      }
      let content = try Self.content(output, at: "\(place).output")
      messages.append(["role": "tool", "tool_call_id": .string(identifier), "content": content])
    case "reasoning":
      let thoughts = item["content"]?.array ?? []
      let parts = thoughts.isEmpty ? item["summary"]?.array ?? [] : thoughts
      let text = parts.compactMap { $0["text"]?.string }.joined(separator: "\n")
      // One without text was encrypted elsewhere.
      if !text.isEmpty { changeAnswer { $0["reasoning_content"] = .string(text) } }
    case let kind:
      throw .bad("\(place).type", "items of type '\(kind)' are not known here", code: "unsupported_parameter")
    }
  }

  private mutating func addMessage(_ item: JSONValue, at place: String) throws(RequestError) {
    guard let role = item["role"]?.string, ["user", "assistant", "system", "developer"].contains(role) else {
      throw .bad("\(place).role", "a message must have a role of assistant, developer, system or user")
    }
    let content = try Self.content(item["content"] ?? .null, at: "\(place).content")
    // A thought that comes before is the answer's.
    if role == "assistant", messages.last?["role"] == "assistant", messages.last?["content"] == "",
      messages.last?["tool_calls"] == nil
    {
      changeAnswer { $0["content"] = content }
    } else {
      messages.append(["role": .string(role), "content": content])
    }
  }

  /// Changes the assistant's message at the end, which is an empty one where there is none.
  private mutating func changeAnswer(_ change: (inout JSONObject) -> Void) {
    if messages.last?["role"]?.string != "assistant" { messages.append(["role": "assistant", "content": ""]) }
    var last = messages.removeLast().members
    change(&last)
    messages.append(.object(last))
  }

  /// Text, or parts of text under the names that the API has for them.
  private static func content(_ value: JSONValue, at place: String) throws(RequestError) -> JSONValue {
    if value.string != nil { return value }
    guard let parts = value.array else {
      throw .bad(place, "content must be text or a list of parts, not \(value.kind)")
    }
    var texts: [JSONValue] = []
    for (index, part) in parts.enumerated() {
      let kind = part["type"]?.string ?? part.kind
      guard ["input_text", "output_text", "text", "refusal"].contains(kind),
        let text = (part["text"] ?? part["refusal"])?.string
      else { throw .bad("\(place)[\(index)]", "only parts of text can be read, not one of type '\(kind)'") }
      texts.append(["type": "text", "text": .string(text)])
    }
    return .array(texts)
  }
}
