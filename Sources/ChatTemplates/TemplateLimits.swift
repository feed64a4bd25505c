/// What a template may use. A template comes with a model and its variables from anywhere: neither is trusted.
///
/// With these values reading and rendering stay below 2 MiB of stack.
package struct TemplateLimits: Sendable, Hashable {
  /// Scalars of source.
  package var source = 1 << 20
  /// Nodes and elements that are looked at.
  package var steps = 20_000_000
  /// Blocks and brackets inside one another.
  package var nesting = 100
  /// Operations of one expression inside one another: a sum of many terms is as deep as it has terms.
  package var expressionDepth = 300
  /// Expressions and statements inside one another while a template is rendered.
  package var depth = 1000
  /// Macros, callers and recursive loops inside one another.
  package var calls = 96
  /// Scalars of text, and eight for each element of a list, that are made in all; as many again for each scalar of the
  /// variables as `allocatedPerInput` says. A scalar takes four bytes.
  package var allocated = 4 << 20
  package var allocatedPerInput = 64
  /// Scalars of the result.
  package var output = 16 << 20

  package init() {}
}
