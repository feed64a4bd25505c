package import ModelJSON

/// A chat template: the Jinja with which a model's authors write messages as the text that the model was trained on.
///
/// Behaves as Jinja2 3.1 in the sandbox that transformers sets up (`trim_blocks`, `lstrip_blocks`, loop controls,
/// `generation` blocks, its own `tojson`, `raise_exception`, `strftime_now`). Integers have 64 bits: what leaves them is
/// an error. Rendering is a pure function of the variables, bounded by `TemplateLimits`.
package struct ChatTemplate: Sendable {
  /// What errors call the template: a file's name.
  package let name: String
  package let source: String
  private let units: [UInt32]
  private let names: [String]
  private let body: [TemplateStatement]

  /// Reads a template; takes time and memory in proportion to its length.
  package init(_ source: String, name: String = "template", limits: TemplateLimits = TemplateLimits())
    throws(TemplateError)
  {
    self.source = source
    self.name = name
    units = TemplateLexer.normalized(source)
    do {
      var parser = try TemplateParser(units, limits: limits)
      body = try parser.parse()
      names = parser.names
    } catch {
      throw error.placed(in: units, name: name)
    }
  }

  /// Whether the template speaks of a variable, an attribute's base or a macro by this name.
  package func mentions(_ name: String) -> Bool { names.contains { $0.utf8.elementsEqual(name.utf8) } }

  /// Renders the template once.
  ///
  /// - Throws: `TemplateError`; of kind `raised` where the template itself refuses the variables.
  package func render(
    _ variables: RenderingVariables, limits: TemplateLimits = TemplateLimits()
  ) throws(TemplateError) -> [TemplateSpan] {
    let evaluator = TemplateEvaluator(
      names: names, limits: limits, time: variables.time, variables: variables.templateValues)
    do {
      return TemplateSpan.spans(of: try evaluator.render(body))
    } catch {
      throw error.placed(in: units, name: name)
    }
  }
}

/// A run of rendered text, all from the template or all from outside.
///
/// Special tokens act where a template writes them, and are text where a message contains them. Encode so: look for
/// special tokens in spans of the template only, and encode what lies between them as one text *across* spans, since
/// models were trained on texts that were cut into tokens as wholes.
package struct TemplateSpan: Sendable, Hashable {
  package var text: String
  /// Whether it came from a message, a tool or another variable.
  package var isContent: Bool

  package init(_ text: String, isContent: Bool) {
    self.text = text
    self.isContent = isContent
  }

  static func spans(of units: [UInt32]) -> [TemplateSpan] {
    var spans: [TemplateSpan] = []
    var start = 0
    while start < units.count {
      let mark = units[start] & MarkedText.contentBit
      var end = start + 1
      while end < units.count, units[end] & MarkedText.contentBit == mark { end += 1 }
      spans.append(TemplateSpan(MarkedText.string(units[start..<end]), isContent: mark != 0))
      start = end
    }
    return spans
  }
}

extension [TemplateSpan] {
  /// All of it as one text.
  package var text: String { map(\.text).joined() }
}

/// What a template sees.
package struct RenderingVariables: Sendable {
  /// `messages`, `tools`, `add_generation_prompt` and whatever else a template speaks of. Their strings count as content,
  /// except for the roles of messages that are known: templates put tokens together from these.
  package var values: JSONObject
  /// Strings that count as the template's own: `bos_token`, `eos_token`.
  package var templateTexts: [String: String] = [:]
  /// What `strftime_now` tells; without it a template that asks for the time is an error.
  package var time: TemplateTime?

  package init(_ values: JSONObject = JSONObject(), templateTexts: [String: String] = [:], time: TemplateTime? = nil) {
    self.values = values
    self.templateTexts = templateTexts
    self.time = time
  }

  /// Roles that templates write into tokens such as `<|user|>`.
  static let roles: Set<String> = [
    "system", "developer", "user", "assistant", "tool", "ipython", "function", "model", "tool_results", "chatbot",
    "tool_response", "observation", "control", "document", "environment",
  ]

  var templateValues: [(String, TemplateValue)] {
    var result: [(String, TemplateValue)] = []
    for (name, value) in values {
      let isMessages = name == "messages"
      result.append((name, isMessages ? Self.messages(value) : TemplateValue(value)))
    }
    for (name, text) in templateTexts.sorted(by: { $0.key < $1.key }) {
      result.removeAll { $0.0 == name }
      result.append((name, .text(text)))
    }
    return result
  }

  private static func messages(_ value: JSONValue) -> TemplateValue {
    guard case .array(let messages) = value else { return TemplateValue(value) }
    return .list(
      messages.map { message in
        guard case .dictionary(var members) = TemplateValue(message) else { return TemplateValue(message) }
        if let role = message["role"]?.string, roles.contains(role) { members.set("role", to: .text(role)) }
        return .dictionary(members)
      })
  }
}
