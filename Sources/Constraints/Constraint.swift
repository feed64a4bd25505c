package import ModelJSON

/// What a text may be: a JSON document that a schema accepts, fixed text, and what can be put together of these.
///
/// ```swift
/// // A document, with perhaps a space or a line break in front (`response_format`, `text.format`, `output_config.format`):
/// let document = try Constraint(documentOf: schema)
/// // A call of one of several tools:
/// let calls = try Constraint(
///   .repeated(
///     .alternatives(
///       tools.map { tool in
///         .sequence([
///           .text("<tool_call>\n{\"name\": "), .json(["const": .string(tool.name)]), .text(", \"arguments\": "),
///           .json(tool.parameters), .text("}\n</tool_call>"),
///         ])
///       }), separator: .text("\n"), in: 1...4))
/// ```
/// `Constraint.toolCalls` does the latter. A constraint is a grammar: immutable, shared, made once for a schema. `ConstraintTable` walks
/// it with a model's vocabulary, and a `ConstraintMatcher` follows one text through it.
///
/// Compiling is for untrusted schemas: its time and memory are bounded (`GrammarBuilder.stateLimit`), and what cannot be kept is an
/// error, never dropped.
package struct Constraint: Sendable, Hashable {
  package indirect enum Part: Sendable {
    /// These characters.
    case text(String)
    /// A special token, which no text can spell.
    case special(Int32)
    /// A JSON document that a schema accepts; `true` is any document, `["type": "object"]` any object.
    case json(JSONValue)
    /// Text that a regular expression (the subset in `RegularExpression`) matches somewhere, or as a whole between `^` and `$`.
    case pattern(String)
    /// Text up to and with the first occurrence of a mark, not empty. What is between backticks in a line does not count.
    case textEnding(with: String)
    /// Any text without special tokens, perhaps empty; what follows should begin with a special token.
    case anyText
    /// A space, a line break with spaces or tabs behind it, or nothing.
    case space
    case sequence([Part])
    case alternatives([Part])
    case optional(Part)
    /// The part several times, without an upper bound where there is none.
    case repeated(Part, separator: Part, in: ClosedRange<Int>)
    case oneOrMore(Part, separator: Part)
  }

  let grammar: Grammar

  /// - Throws: `ConstraintError` where a schema cannot be kept, or needs too much.
  package init(_ part: Part) throws(ConstraintError) {
    var compiler = PartCompiler()
    grammar = try compiler.compile(part)
  }

  /// One JSON document and nothing else.
  package init(documentOf schema: JSONValue) throws(ConstraintError) {
    try self.init(.sequence([.space, .json(schema)]))
  }

  /// The schema of any object: what `json_object` asks for.
  package static let anyObject: JSONValue = ["type": "object"]

  /// Calls of tools, each written as a prefix, the arguments as a JSON object, and a suffix.
  ///
  /// - Parameters:
  ///   - tools: what stands in front of a tool's arguments (its name in it), and their schema
  ///   - suffix: what stands behind the arguments
  ///   - separator: what stands between two calls; nil allows one call only
  /// - Throws: `ConstraintError`
  package static func toolCalls(
    _ tools: [(prefix: Part, parameters: JSONValue)], suffix: Part, separator: Part?
  ) throws(ConstraintError) -> Constraint {
    let call = Part.alternatives(tools.map { .sequence([$0.prefix, .json($0.parameters), suffix]) })
    return try Constraint(separator.map { .oneOrMore(call, separator: $0) } ?? call)
  }

  package static func == (a: Constraint, b: Constraint) -> Bool { a.grammar === b.grammar }
  package func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(grammar)) }
}
