/// A call of a tool that a model wrote.
package struct ToolCall: Sendable, Hashable {
  package var name: String
  /// An object as JSON; as the model wrote it, where it wrote JSON.
  package var arguments: String

  package init(_ name: String, _ arguments: String) { (self.name, self.arguments) = (name, arguments) }
}
