/// Why a constraint cannot be kept: the place in the schema, the keyword, and the reason.
package struct ConstraintError: Error, Sendable, Hashable, CustomStringConvertible {
  /// A JSON pointer into the schema: `#/properties/name`.
  package let pointer: String
  /// The keyword that is the trouble; nil where it is the whole schema.
  package let keyword: String?
  package let reason: String

  init(_ pointer: String, _ keyword: String? = nil, _ reason: String) {
    (self.pointer, self.keyword, self.reason) = (pointer, keyword, reason)
  }

  package var description: String {
    keyword.map { "'\($0)' at \(pointer) \(reason)" } ?? "the schema at \(pointer) \(reason)"
  }
}
