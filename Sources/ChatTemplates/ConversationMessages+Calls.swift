import ModelJSON

/// Calls of tools and their results, brought into the form that templates take.
extension ConversationMessages {
  /// Gives a result the name of the tool that was called, where only the call's identifier says so.
  static func withResultNames(_ messages: [JSONObject]) -> [JSONObject] {
    var names: [String: JSONValue] = [:]
    return messages.map { message in
      for call in message["tool_calls"]?.array ?? [] {
        if let identifier = call["id"]?.string { names[identifier] = call["function"]?["name"] }
      }
      guard message["role"]?.string == "tool", message["name"]?.string == nil,
        let name = message["tool_call_id"]?.string.flatMap({ names[$0] })
      else { return message }
      var message = message
      message["name"] = name
      return message
    }
  }

  /// Divides messages with several calls into one a call, each followed by its result.
  static func withSingleCalls(_ messages: [JSONObject]) -> [JSONObject] {
    var result: [JSONObject] = []
    var rest = messages[...]
    while let message = rest.popFirst() {
      guard let calls = message["tool_calls"]?.array, calls.count > 1 else {
        result.append(message)
        continue
      }
      var answers: [JSONObject] = []
      while let next = rest.first, next["role"]?.string == "tool" {
        answers.append(next)
        rest.removeFirst()
      }
      for (index, call) in calls.enumerated() {
        var single = index == 0 ? message : JSONObject()
        if index > 0 {
          (single["role"], single["content"]) = ("assistant", message["content"].map { $0.isNull ? $0 : "" })
        }
        single["tool_calls"] = [call]
        result.append(single)
        // A result without the identifier of a call belongs to the one at its place.
        let place =
          answers.firstIndex { $0["tool_call_id"] != nil && $0["tool_call_id"] == call["id"] }
          ?? answers.firstIndex { $0["tool_call_id"]?.string == nil }
        if let place { result.append(answers.remove(at: place)) }
      }
      result += answers
    }
    return result
  }
}
