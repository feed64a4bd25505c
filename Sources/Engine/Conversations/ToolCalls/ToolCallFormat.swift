package import ChatTemplates

/// How a family writes calls of tools into its answers.
package struct ToolCallFormat: Sendable, Hashable {
  /// By which documents and tests call it.
  package let name: String
  let syntax: CallSyntax
  /// Marks that may be tokens of their own, which a reader must see.
  package let tokens: [String]

  /// A row of the table of formats.
  private struct Row {
    let format: ToolCallFormat
    /// Texts of which one stands in a call as the family's template writes it.
    let signs: [String]

    init(_ name: String, _ syntax: CallSyntax, signs: [String], tokens: [String] = []) {
      format = ToolCallFormat(name: name, syntax: syntax, tokens: tokens)
      self.signs = signs
    }
  }

  /// What templates write of a call tells the format; rows that say more come first.
  private static let table: [Row] = [
    Row("channels", .json(JSONCalls(open: "to=functions.")), signs: ["to=functions."]),
    Row("functions", .functions, signs: ["<function="], tokens: ["<tool_call>", "</tool_call>"]),
    Row("tagged", tagged.syntax, signs: ["<tool_call>"], tokens: tagged.tokens),
    Row("mistral", .mistral, signs: ["[TOOL_CALLS]"], tokens: ["[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"]),
    Row("deepseek", .deepSeek, signs: ["<｜tool▁call▁begin｜>"], tokens: DeepSeekCalls.tokens),
    Row("python", .python, signs: [PythonCalls.open], tokens: [PythonCalls.open, PythonCalls.close]),
    Row("gemma", .gemma, signs: [GemmaCalls.open], tokens: [GemmaCalls.open, GemmaCalls.close, GemmaCalls.quote]),
    Row(
      "actions", .json(JSONCalls(open: "<|START_ACTION|>", close: "<|END_ACTION|>")), signs: ["<|START_ACTION|>"],
      tokens: ["<|START_ACTION|>", "<|END_ACTION|>"]),
    Row("action-list", .json(JSONCalls(open: "Action:", fence: "```json", close: "```")), signs: ["Action:"]),
    Row(
      "phi", .json(JSONCalls(open: "<|tool_call|>", close: "<|/tool_call|>")), signs: ["<|tool_call|>"],
      tokens: ["<|tool_call|>", "<|/tool_call|>"]),
    Row("functools", .json(JSONCalls(open: "functools")), signs: ["functools["]),
    Row("recipients", .recipients, signs: ["toolword\n{\"a\""]),
    Row("bare", .bare, signs: ["{\"name\": \"toolword\"", "[toolword("], tokens: [BareCalls.mark]),
  ]

  /// JSON between tags, as Hermes, Qwen 2.5 and 3, Granite 4 and SmolLM write it; what models are told that know no tools.
  package static let tagged = ToolCallFormat(
    name: "tagged", syntax: .json(JSONCalls(open: "<tool_call>", close: "</tool_call>")),
    tokens: ["<tool_call>", "</tool_call>"])

  /// The format in which a template writes calls, or where it writes none, the one that it speaks of.
  package init(_ template: ChatTemplate, _ traits: TemplateTraits) {
    // A model that is told of its tools by us is told how to call them, too.
    guard traits.acceptsTools else {
      self = .tagged
      return
    }
    let shown = traits.callFrame?.text ?? template.source
    self = Self.table.first { $0.signs.contains(where: shown.contains) }?.format ?? .tagged
  }

  /// All formats, each once.
  static var all: [ToolCallFormat] { table.map(\.format) }

  private init(name: String, syntax: CallSyntax, tokens: [String]) {
    (self.name, self.syntax, self.tokens) = (name, syntax, tokens)
  }
}
