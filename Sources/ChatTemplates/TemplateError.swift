/// Why a template cannot be read or rendered, and where: "chat_template.jinja: line 3, column 14: 'x' is undefined".
package struct TemplateError: Error, Sendable, Hashable {
  package enum Kind: String, Sendable, Hashable {
    /// The text is no template.
    case syntax
    /// Something that is not there was used as if it were.
    case undefined
    /// An operation does not take a value of this type, or not this value.
    case type
    /// The template itself refused its variables with `raise_exception`; the message is its own.
    case raised
    /// A bound on time, depth or memory was reached.
    case limit
    /// The template asks for what a sandbox does not give.
    case security
    /// The messages do not have the form of messages.
    case messages
  }

  package let kind: Kind
  /// What is wrong, without the place.
  package let message: String
  /// The template's name, as whoever made it called it.
  package var name = "template"
  /// The line, counted from 1; 0 where the error has no place.
  package var line = 0
  /// The Unicode scalar in its line, counted from 1.
  package var column = 0
  /// Where in the source, in scalars; replaced by line and column on the way out.
  var offset = 0

  init(_ kind: Kind, _ message: String, offset: Int = 0) {
    self.kind = kind
    self.message = message
    self.offset = offset
  }

  /// The same error with the place that its offset means in a source.
  func placed(in source: [UInt32], name: String) -> TemplateError {
    guard kind != .messages else { return self }
    var error = self
    let before = source[..<min(max(0, offset), source.count)]
    error.name = name
    error.line = 1 + before.count { $0 == 0x0a }
    error.column = 1 + before.count - (before.lastIndex(of: 0x0a).map { $0 + 1 } ?? 0)
    return error
  }
}

extension TemplateError: CustomStringConvertible {
  package var description: String {
    line == 0 ? "\(name): \(message)" : "\(name): line \(line), column \(column): \(message)"
  }
}
