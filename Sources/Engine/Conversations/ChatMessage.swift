package import ModelJSON

/// A message of a conversation.
package struct ChatMessage: Sendable, Hashable {
  package enum Role: String, Sendable, CaseIterable {
    case system
    case user
    case assistant
  }

  package var role: Role
  package var content: String
  /// What the model thought before it answered.
  package var thinking: String?

  package init(_ role: Role, _ content: String, thinking: String? = nil) {
    (self.role, self.content, self.thinking) = (role, content, thinking)
  }

  /// As templates see it. Families call thoughts by different names.
  package var json: JSONValue {
    var members = JSONObject()
    members["role"] = .string(role.rawValue)
    members["content"] = .string(content)
    if let thinking {
      for name in Self.thinkingNames { members[name] = .string(thinking) }
    }
    return .object(members)
  }

  private static let thinkingNames = ["reasoning_content", "thinking", "reasoning"]

  /// A message as `json` writes it.
  ///
  /// - Returns: nil where it is none.
  package init?(_ json: JSONValue) {
    guard let role = json["role"]?.string.flatMap(Role.init(rawValue:)), let content = json["content"]?.string else {
      return nil
    }
    self.init(role, content, thinking: json[Self.thinkingNames[0]]?.string)
  }
}
