package import ModelJSON

/// The tools that a model may call, by name, with the schemas of their arguments.
package struct ToolSignatures: Sendable, Equatable {
  private var parameters: [String: JSONValue] = [:]

  package init() {}

  /// - Parameter tools: as OpenAI's API describes them; what is no function is left out
  package init(_ tools: [JSONValue]) {
    for tool in tools {
      guard let function = tool["function"], let name = function["name"]?.string else { continue }
      parameters[name] = function["parameters"] ?? [:]
    }
  }

  package var isEmpty: Bool { parameters.isEmpty }

  package func has(_ name: String) -> Bool { parameters[name] != nil }

  /// Whether an argument is text whatever it looks like.
  func isText(_ argument: String, of name: String) -> Bool {
    let schema = parameters[name]?["properties"]?[argument]
    if let type = schema?["type"]?.string { return type == "string" }
    let types = schema?["type"]?.array?.compactMap(\.string) ?? []
    if types.contains("string") { return true }
    return schema?["enum"]?.array?.allSatisfy { $0.string != nil } ?? false
  }
}
