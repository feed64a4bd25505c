import ChatTemplates
package import Constraints
package import ModelJSON
import Tokenizers

/// How calls are spelled that an answer is made to consist of: as the model's template writes them, where that writes
/// arguments as JSON; between tags elsewhere.
package struct CallGrammar: Sendable {
  /// How such calls are read.
  package let format: ToolCallFormat
  private let beforeName: Constraint.Part
  private let afterName: Constraint.Part
  private let afterArguments: Constraint.Part
  /// Nil where an answer has one call at most.
  private let betweenCalls: Constraint.Part?

  private static let tagged = CallFrame.Pieces(
    beforeName: "<tool_call>\n{\"name\": \"", afterName: "\", \"arguments\": ", afterArguments: "}\n</tool_call>",
    betweenCalls: "}\n</tool_call>\n<tool_call>\n{\"name\": \"")

  package init(_ template: ConversationTemplate) {
    let known = template.traits.acceptsTools ? template.traits.callFrame?.pieces : nil
    format = known == nil ? .tagged : ToolCallFormat(template.template, template.traits)
    let pieces = known ?? Self.tagged
    let part = { (text: String) in Self.part(text, template.tokenizer) }
    beforeName = part(Self.withoutThought(pieces.beforeName))
    afterName = part(pieces.afterName)
    afterArguments = part(pieces.afterArguments)
    betweenCalls = pieces.betweenCalls.map(part)
  }

  /// One call of some tools, or several.
  ///
  /// - Parameter tools: names, and schemas of arguments, which are objects
  package func part(_ tools: [(name: String, parameters: JSONValue)], isSingle: Bool) -> Constraint.Part {
    let call = Constraint.Part.alternatives(
      tools.map { .sequence([.text($0.name), afterName, .json(Self.object($0.parameters))]) })
    let calls = isSingle ? call : betweenCalls.map { .oneOrMore(call, separator: $0) } ?? call
    return .sequence([beforeName, calls, afterArguments])
  }

  /// A schema without a type would take what is no object.
  private static func object(_ schema: JSONValue) -> JSONValue {
    guard var members = schema.object else { return ["type": "object"] }
    if members["type"] == nil { members["type"] = "object" }
    return .object(members)
  }

  /// What a template writes of a thought in front of a call is for `AnswerLead` to say.
  private static func withoutThought(_ text: String) -> String {
    for tags in ThoughtTags.known {
      guard let range = text.firstRange(of: tags.close) else { continue }
      return String(text[range.upperBound...].drop(while: \.isWhitespace))
    }
    return text
  }

  /// A template's text, its special tokens as such, up to one that ends an answer.
  private static func part(_ text: String, _ tokenizer: Tokenizer) -> Constraint.Part {
    var prompt = PromptText()
    prompt.append(text, isContent: false)
    var parts: [Constraint.Part] = []
    var rest = text[...]
    for id in tokenizer.encode(prompt, startsText: false) where tokenizer.isSpecial(id) {
      guard let range = rest.firstRange(of: tokenizer.token(id)) else { continue }
      if range.lowerBound > rest.startIndex { parts.append(.text(String(rest[..<range.lowerBound]))) }
      if tokenizer.endOfGeneration.contains(id) { return .sequence(parts) }
      parts.append(.special(id))
      rest = rest[range.upperBound...]
    }
    if !rest.isEmpty { parts.append(.text(String(rest))) }
    return .sequence(parts)
  }
}
